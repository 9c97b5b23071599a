//! End of a received message.

/// End of a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Removes the message.
    Ack,
    /// Moves the message, unchanged, to the dead letters of its queue.
    Reject,
    /// Returns the message to its queue.
    Requeue,
}
