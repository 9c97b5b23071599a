//! Errors of publishing.

/// Reasons for which a publish is not known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No connection; nothing was sent.
    #[error("the broker is not connected")]
    Disconnected,
    /// The broker has an alarm; nothing was sent.
    #[error("the broker blocks publishers (memory or disk alarm)")]
    Blocked,
    /// Too many unconfirmed publishes; nothing was sent.
    #[error("too many publishes wait for their confirms")]
    Busy,
    /// The connection was lost before the confirm: it may be durable or not.
    #[error("the connection was lost before the confirm")]
    Interrupted,
    /// No confirm within the deadline: it may be durable or not.
    #[error("no confirm within the deadline")]
    TimedOut,
    /// No queue accepts the message.
    #[error("no queue is bound for the message")]
    Unroutable,
    /// Another message was returned together with its confirm: it may be durable or not.
    #[error("the confirm was ambiguous, because another message was returned")]
    Undecided,
    /// The broker refused it (a full queue, or an internal fault).
    #[error("the broker refused the message")]
    Refused,
}

impl PublishError {
    /// Returns true if the broker returned the message because no queue is bound, or may have.
    #[must_use]
    pub fn may_be_unrouted(self) -> bool {
        matches!(self, Self::Unroutable | Self::Undecided)
    }
}
