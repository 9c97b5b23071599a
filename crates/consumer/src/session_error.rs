//! Error that ended a session.

use tokio::task::JoinError;
use wahook_queue::{ConnectError, SubscriptionEnded};

/// Error that ended a session; the next one connects again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// The connection could not be made or is broken.
    #[error(transparent)]
    Connection(#[from] ConnectError),
    #[error(transparent)]
    Subscription(#[from] SubscriptionEnded),
    #[error("the broker did not end the subscription to {queue}")]
    NotCancelled {
        /// Name of the queue.
        queue: String,
    },
    /// A worker or the drainer panicked.
    #[error(transparent)]
    Panic(#[from] JoinError),
}
