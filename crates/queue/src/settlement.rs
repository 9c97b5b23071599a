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

/// Fate of a message that its receiver does not settle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsettled {
    /// Returns to its queue at once.
    Returns,
    /// Stays unsettled until its subscription ends: in a lane, a message that
    /// returns alone would be delivered after newer ones.
    Stays,
}

impl Unsettled {
    /// Returns true if a message may be settled so.
    pub(crate) fn permits(self, settlement: Settlement) -> bool {
        match settlement {
            Settlement::Ack | Settlement::Reject => true,
            Settlement::Requeue | Settlement::Redeliver => self == Self::Returns,
        }
    }
}
