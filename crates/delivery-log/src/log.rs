//! Interface of a delivery log.

use std::{error::Error as StdError, pin::Pin, sync::Arc, time::Duration};

use thiserror::Error;
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId};

/// Delivery log that all its users share.
pub type SharedLog = Arc<dyn DeliveryLog>;

/// Future of a [`DeliveryLog`]'s method; boxed, so that the trait is dyn-compatible. Writes
/// are batched, so this is one allocation per batch, not per delivery.
pub type LogFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, LogUnavailable>> + Send + 'a>>;

/// Storage for the results of attempts, implemented by MongoDB and by the embedded store.
pub trait DeliveryLog: Send + Sync + 'static {
    /// Writes all results durably. After an error none of them is guaranteed to be
    /// written, and the caller writes all of them again.
    ///
    /// Idempotent and commutative. A result that the log can never accept does not
    /// fail the others: it is counted in [`WriteReport::rejected`].
    fn write<'a>(&'a self, results: &'a [AttemptResult]) -> LogFuture<'a, WriteReport>;

    /// Returns the record of an event and endpoint, `None` if there is none yet.
    fn find<'a>(
        &'a self,
        id: &'a EventId,
        endpoint: &'a EndpointName,
    ) -> LogFuture<'a, Option<DeliveryRecord>>;

    /// Prepares the log for readers and sets the retention in days; `None` keeps
    /// records indefinitely. Idempotent.
    fn prepare(&self, retention_days: Option<u32>) -> LogFuture<'_, ()>;

    /// Checks that the log is likely to accept a write.
    fn ping(&self) -> LogFuture<'_, ()>;
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
    Server(#[source] Box<dyn StdError + Send + Sync>),
    /// The server replied, but did not confirm that the write is durable.
    #[error("the delivery log did not confirm the write: {0}")]
    Unconfirmed(String),
    /// The record exists, but in a format that no wahook program writes.
    #[error("record {id} is unreadable: {reason}")]
    Unreadable { id: String, reason: String },
    /// The search was stopped at its time limit.
    #[error("the search took longer than {} s: shorten the time range, or search by chat, message id, session or event id", .0.as_secs())]
    TooSlow(Duration),
    /// The log's data file can't be written or read.
    #[error("data file of the delivery log: {0}")]
    File(String),
}
