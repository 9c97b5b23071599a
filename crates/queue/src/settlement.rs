//! End of a received message.

/// End of a received message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Removes the message.
    Ack,
    /// Moves the message, unchanged, to the dead letters of its queue.
    Reject,
    /// Returns the message, which was not processed, to its queue. RabbitMQ 4.3 does not count
    /// the delivery towards the queue's delivery limit.
    Requeue,
    /// Returns the message to its queue after a failure. The delivery counts towards the queue's
    /// delivery limit, so that a message that always fails becomes a dead letter.
    Redeliver,
}
