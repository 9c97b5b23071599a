//! Queues, settings, log and orders of the commands on endpoints.

use std::{collections::BTreeSet, pin::Pin};
use wahook_delivery_log::LogReader;
use wahook_domain::EndpointName;
use wahook_operator_state::SharedOperatorState;
use wahook_queue::Broker;

/// Name of the commands' connection to the broker.
pub(super) const CONNECTION: &str = "wahook-consumer endpoints";

/// Future that opens the delivery log.
pub type OpenLog = Pin<Box<dyn Future<Output = anyhow::Result<Box<dyn LogReader>>>>>;

/// Future that opens the store of what operators set.
pub type OpenOperatorState = Pin<Box<dyn Future<Output = anyhow::Result<SharedOperatorState>>>>;

/// Queues, settings, log and orders of the commands.
pub struct Sources {
    pub broker: Broker,
    /// Endpoints of the settings; `None` for a data file, which stores those of the process
    /// that has it open or had it last.
    pub configured: Option<BTreeSet<EndpointName>>,
    /// Log in which a move looks for events that the other endpoint has received itself;
    /// `None` for a data file, in which a removed endpoint receives no more events.
    pub log: Option<OpenLog>,
    /// Log that shows the state of a delivery.
    pub records: OpenLog,
    /// Store of what operators set, which all that deliver read.
    pub operator: OpenOperatorState,
}
