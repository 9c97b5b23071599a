//! Pauses by circuit breakers, which consumers report for operators to see.

use std::{sync::Arc, time::Duration};

use wahook_delivery_log::LogFuture;
use wahook_domain::{EndpointName, UnixMillis};

/// Reports that all their users share.
pub type SharedCircuitReports = Arc<dyn CircuitReports>;

/// Pause of an endpoint by the circuit breaker of one consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitPause {
    pub endpoint: EndpointName,
    pub since: UnixMillis,
    /// Time of the next probe.
    pub next_probe: UnixMillis,
    /// Error of the last attempt or probe.
    pub reason: String,
}

/// All pauses by the circuit breakers of one consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitReport {
    /// Name of the consumer, which no other has.
    pub consumer: String,
    pub pauses: Vec<CircuitPause>,
    /// Time after which the report is not valid, unless another one follows.
    pub valid_for: Duration,
}

/// Store of the reports in the database of the delivery log, implemented for MongoDB and for
/// the data file.
pub trait CircuitReports: Send + Sync + 'static {
    /// Replaces the report of a consumer. An empty one also removes those that are no longer
    /// valid.
    fn report<'a>(&'a self, report: &'a CircuitReport) -> LogFuture<'a, ()>;

    /// Returns the pauses of all consumers whose reports are valid.
    fn pauses(&self) -> LogFuture<'_, Vec<CircuitPause>>;
}
