//! Errors of the broker and of connecting to it.

use lapin::protocol::AMQPErrorKind;

use super::{
    deadline::{STEP_LIMIT, TimedOut},
    refusal::{self, ACCESS_REFUSED, protocol_error},
};

/// Error of a connection or a channel.
#[derive(Debug, thiserror::Error)]
#[error("{}", refusal::text(.0))]
pub struct BrokerError(lapin::Error);

impl BrokerError {
    /// Returns true if the broker closed one channel: the connection and its other channels
    /// continue.
    pub(super) fn is_of_channel(&self) -> bool {
        protocol_error(&self.0).is_some_and(|error| matches!(error.kind(), AMQPErrorKind::Soft(_)))
    }
}

impl From<lapin::Error> for BrokerError {
    fn from(error: lapin::Error) -> Self {
        Self(error)
    }
}

/// Reasons for which no usable connection was established.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The broker did not answer in time.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The connection works, but the queue does not answer.
    #[error(
        "the broker did not answer for queue {queue} within {limit} s: the queue may have no leader, \
         because the broker was killed within seconds of the queue's declaration; \
         restart the broker",
        limit = STEP_LIMIT.as_secs()
    )]
    NoSubscription {
        /// Name of the queue.
        queue: String,
    },
    /// The program is ending.
    #[error("the program is ending")]
    Interrupted,
    /// A queue or exchange exists with other arguments.
    #[error(
        "{0}: a queue or exchange of this name was declared with other arguments; \
         once it is empty, delete it and it is declared again"
    )]
    OtherTopology(BrokerError),
    /// None of several servers could be used.
    #[error("no host of the broker could be used: {0}")]
    NoServer(String),
    /// Other error.
    #[error("{0}")]
    Broker(#[from] BrokerError),
}

impl ConnectError {
    /// Returns true if a queue does not exist. The connection and its other channels continue.
    #[must_use]
    pub fn is_missing_queue(&self) -> bool {
        matches!(self, Self::Broker(BrokerError(error)) if is_not_found(error))
    }

    /// Returns true if the user lacks a permission. The connection and its other channels
    /// continue.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Self::Broker(BrokerError(error)) if has_id(error, ACCESS_REFUSED))
    }

    /// Sums up the failures of all servers, by their names.
    pub(super) fn of_servers(mut failures: Vec<(String, Self)>) -> Self {
        match failures.pop() {
            Some((_, only)) if failures.is_empty() => only,
            last => {
                let all = failures.into_iter().chain(last);
                let texts = all.map(|(server, error)| format!("{server}: {error}"));
                Self::NoServer(texts.collect::<Vec<_>>().join("; "))
            }
        }
    }
}

impl From<lapin::Error> for ConnectError {
    fn from(error: lapin::Error) -> Self {
        Self::Broker(error.into())
    }
}

/// Returns true if a queue or exchange does not exist.
pub(super) fn is_not_found(error: &lapin::Error) -> bool {
    const NOT_FOUND: u16 = 404;
    has_id(error, NOT_FOUND)
}

/// Returns true if a queue or exchange exists with other arguments.
pub(super) fn is_other_topology(error: &lapin::Error) -> bool {
    const PRECONDITION_FAILED: u16 = 406;
    has_id(error, PRECONDITION_FAILED)
}

/// Returns true if another connection has the queue exclusively.
pub(super) fn is_locked(error: &lapin::Error) -> bool {
    const RESOURCE_LOCKED: u16 = 405;
    has_id(error, RESOURCE_LOCKED)
}

fn has_id(error: &lapin::Error, id: u16) -> bool {
    protocol_error(error).is_some_and(|error| error.get_id() == id)
}
