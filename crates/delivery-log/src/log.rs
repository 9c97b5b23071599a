//! Interface of a delivery log.

use std::{future::Future, time::Duration};

use mongodb::error::Error as ServerError;
use thiserror::Error;
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId};

/// Storage for the results of attempts.
///
/// Implemented by MongoDB and by the embedded store. Tests of the consumer use a log
/// that is slow, absent or full, without a database.
pub trait DeliveryLog: Send + Sync + 'static {
    /// Writes all results durably. After an error none of them is guaranteed to be
    /// written, and the caller writes all of them again.
    ///
    /// Idempotent and commutative. A result that the log can never accept does not
    /// fail the others: it is counted in [`WriteReport::rejected`].
    fn write(
        &self,
        results: &[AttemptResult],
    ) -> impl Future<Output = Result<WriteReport, LogUnavailable>> + Send;

    /// Returns the record of an event and endpoint, `None` if there is none yet.
    fn find(
        &self,
        id: &EventId,
        endpoint: &EndpointName,
    ) -> impl Future<Output = Result<Option<DeliveryRecord>, LogUnavailable>> + Send;

    /// Prepares the log for readers and sets the retention in days; `None` keeps
    /// records indefinitely. Idempotent.
    fn prepare(
        &self,
        retention_days: Option<u32>,
    ) -> impl Future<Output = Result<(), LogUnavailable>> + Send;

    /// Checks that the log is likely to accept a write.
    fn ping(&self) -> impl Future<Output = Result<(), LogUnavailable>> + Send;
}

/// Outcome of a [`DeliveryLog::write`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteReport {
    /// Results that are durably in the log, repeated ones included.
    pub written: usize,
    /// Written results whose payload is stored in another form, or not at all; the
    /// record contains the reasons in `payloadAltered`.
    pub altered: usize,
    /// Results that the log rejected permanently; each was logged with its event's
    /// id and the server's reason at level `error`.
    pub rejected: usize,
}

/// Temporary failure of the log; the caller should retry later.
#[derive(Debug, Error)]
pub enum LogUnavailable {
    #[error("the delivery log did not reply within {} s", .0.as_secs_f32())]
    NoAnswer(Duration),
    #[error("the delivery log could not be reached: {0}")]
    Server(#[source] Box<ServerError>),
    /// The server replied, but did not confirm that the write is durable.
    #[error("the delivery log did not confirm the write: {0}")]
    Unconfirmed(String),
    /// The record exists, but in a format that no wahook program writes.
    #[error("record {id} is unreadable: {reason}")]
    Unreadable { id: String, reason: String },
    /// The log's data file can't be written or read.
    #[error("data file of the delivery log: {0}")]
    File(String),
}

impl From<ServerError> for LogUnavailable {
    fn from(error: ServerError) -> Self {
        Self::Server(Box::new(error))
    }
}
