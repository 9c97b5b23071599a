//! What a delivery log must do.

use std::{future::Future, time::Duration};

use mongodb::error::Error as ServerError;
use thiserror::Error;
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId};

/// Where results of attempts are kept.
///
/// The seam exists so that the consumer can be tested against a log that is
/// slow, absent or full without a database.
pub trait DeliveryLog: Send + Sync + 'static {
    /// Writes all results durably, or says that the log could not take them now;
    /// then none of them is promised, and writing all of them again is right.
    ///
    /// Idempotent and commutative. A result that the log can never take does not
    /// fail the others: it is counted in [`WriteReport::rejected`].
    fn write(
        &self,
        results: &[AttemptResult],
    ) -> impl Future<Output = Result<WriteReport, LogUnavailable>> + Send;

    /// The record of one event at one endpoint, `None` where there is none yet.
    fn find(
        &self,
        id: &EventId,
        endpoint: &EndpointName,
    ) -> impl Future<Output = Result<Option<DeliveryRecord>, LogUnavailable>> + Send;

    /// Makes the log ready for its readers, and remembers for how many days records are
    /// kept; `None` keeps them for ever. Repeating it changes nothing.
    fn prepare(
        &self,
        retention_days: Option<u32>,
    ) -> impl Future<Output = Result<(), LogUnavailable>> + Send;

    /// A sign of life: a write would most likely be taken.
    fn ping(&self) -> impl Future<Output = Result<(), LogUnavailable>> + Send;
}

/// What one [`DeliveryLog::write`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteReport {
    /// Results that are in the log durably, repeated ones included.
    pub written: usize,
    /// Those of the written whose payload is kept in another form than it came,
    /// or not at all; the record names the reasons in `payloadAltered`.
    pub altered: usize,
    /// Results that the log refused for good; each was reported with its event's
    /// id and the server's reason at level `error`.
    pub rejected: usize,
}

/// The log could not do it now. Trying again later is right.
#[derive(Debug, Error)]
pub enum LogUnavailable {
    #[error("the delivery log gave no answer within {} s", .0.as_secs_f32())]
    NoAnswer(Duration),
    #[error("the delivery log could not be reached: {0}")]
    Server(#[source] Box<ServerError>),
    /// The server answered, but does not promise that the write will last.
    #[error("the delivery log did not confirm the write: {0}")]
    Unconfirmed(String),
    /// The record is there in a shape that this program never wrote.
    #[error("the record {id} is unreadable: {reason}")]
    Unreadable { id: String, reason: String },
    /// The file that a log is in can't be written or read.
    #[error("the delivery log's file: {0}")]
    File(String),
}

impl From<ServerError> for LogUnavailable {
    fn from(error: ServerError) -> Self {
        Self::Server(Box::new(error))
    }
}
