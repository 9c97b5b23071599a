//! Numbers of the messages of a store's queues, and their moves to other queues.

use wahook_domain::{EndpointName, UnixMillis};

/// Messages of one queue of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QueueCensus {
    pub queue: String,
    /// Messages in the queue, those in delivery included.
    pub queued: u32,
    /// Messages that enter the queue later.
    pub waiting: u32,
    /// Acceptance of the event that is first in the queue, or that waits longest for it.
    pub oldest: Option<UnixMillis>,
    /// True if the process that has the store open, or had it last, declared the queue.
    pub is_declared: bool,
}

/// Move of the messages of one queue, retries that wait for it included.
#[derive(Debug, Clone)]
pub struct Reassignment {
    /// Name of the queue.
    pub from: String,
    pub to: ReassignedTo,
    /// Limit of the messages of one move.
    pub max: u32,
}

/// Destination of a [`Reassignment`].
#[derive(Debug, Clone)]
pub enum ReassignedTo {
    /// Queue of another endpoint. Attempts and due times are kept.
    Queue(String),
    /// Dead letters, with the endpoint, the reason and the time.
    DeadLetters {
        endpoint: EndpointName,
        reason: String,
        now: UnixMillis,
    },
}
