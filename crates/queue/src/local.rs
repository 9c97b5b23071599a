//! Interface to a queue within this process, which replaces RabbitMQ where
//! producer, consumer and store are one program.
//!
//! [`Publisher`](crate::Publisher),
//! [`ConsumerConnection`](crate::ConsumerConnection) and the messages they
//! deliver have the same types for both queues, so callers do not depend on the
//! choice. Requests to the store are [`Command`]s, each with a channel for its
//! answer. A closed store drops them, which ends the wait for the answer.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot, watch};

use wahook_domain::LinkState;

use crate::{
    error::PublishError,
    message::{Outgoing, Stored},
    rabbitmq::QueueMessagesError,
    topology::Topology,
};

use crate::settlement::Unsettled;
pub use crate::{
    reassignment::{QueueCensus, ReassignedTo, Reassignment},
    settlement::Settlement,
};

/// Store of the messages. A trait, because the embedded store depends on this
/// crate.
pub trait LocalQueue: Send + Sync + 'static {
    /// Accepts a command without waiting.
    fn submit(&self, command: Command);

    /// Returns the state of the store, to watch: whether it accepts messages.
    fn link(&self) -> watch::Receiver<LinkState>;
}

pub type SharedQueue = Arc<dyn LocalQueue>;

/// Request to a queue.
pub enum Command {
    /// Adds a topology to the routing and removes its obsolete bindings.
    Declare(Topology),
    /// Stores a message. The answer follows once the message is durable.
    Publish(Box<Outgoing>, oneshot::Sender<Result<(), PublishError>>),
    /// Starts delivery of a queue's messages, one after another.
    Subscribe(Subscriber),
    /// Stops delivery to a subscriber and drops its sender.
    Cancel(SubscriberId),
    /// Ends the subscription to a lane, and returns its unsettled messages to their
    /// places.
    GiveUp(SubscriberId),
    /// Delivers the next messages of a queue, without a subscription.
    Take(Take),
    /// Counts the undelivered messages of a queue.
    Depth(String, oneshot::Sender<u32>),
    /// Counts the subscribers of a queue.
    Count(String, oneshot::Sender<u32>),
    /// Settles a delivered message.
    Settle(Tag, Settlement),
    /// Returns the first read or write that failed since the last such request, if the store does
    /// not repeat those.
    Failure(oneshot::Sender<Option<String>>),
    /// Counts the messages of all queues. Without an answer they can't be read.
    Census(oneshot::Sender<Vec<QueueCensus>>),
    /// Moves messages of a queue that no process serves. The answer is their
    /// number, 0 after the last one.
    Reassign(Reassignment, oneshot::Sender<Result<u32, PublishError>>),
}

/// Request for the next messages of a queue.
pub struct Take {
    /// Name of the queue.
    pub queue: String,
    /// Limit of the messages.
    pub messages: usize,
    /// Bytes of bodies after which no further message is added.
    pub bytes: usize,
    /// Receives the messages, in their order; none if the queue is empty.
    pub answer: oneshot::Sender<Vec<Delivered>>,
}

/// Identifies a subscriber within this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(u64);

impl SubscriberId {
    /// Returns an id that no other subscriber has.
    pub(crate) fn unique() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Receiver of a queue's messages.
pub struct Subscriber {
    pub id: SubscriberId,
    /// Name of the queue.
    pub queue: String,
    /// Limit of delivered messages that are not settled.
    pub prefetch: u16,
    /// True for a lane: the next subscriber receives nothing before this one has
    /// ended and its unsettled messages are in their places.
    pub is_single_active: bool,
    /// Destination of the messages; closed once the subscriber is gone.
    pub messages: mpsc::UnboundedSender<Delivered>,
}

/// The store's identifier of a delivered message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub i64);

/// Delivered message with its lease: dropping it returns it to its queue.
#[derive(Debug)]
pub struct Delivered {
    pub(crate) message: Stored,
    pub(crate) redelivered: bool,
    pub(crate) lease: Lease,
}

impl Delivered {
    /// Creates a message that the store of `queue` identifies by `tag`.
    #[must_use]
    pub fn new(message: Stored, redelivered: bool, tag: Tag, queue: SharedQueue) -> Self {
        Self {
            message,
            redelivered,
            lease: Lease {
                queue,
                tag,
                is_open: true,
                unsettled: Unsettled::Returns,
            },
        }
    }

    /// Marks a message of a lane: it returns to its place with all others of its
    /// subscription, and not alone.
    #[must_use]
    pub fn of_lane(mut self) -> Self {
        self.lease.unsettled = Unsettled::Stays;
        self
    }
}

/// Settles a message of the store, once.
pub(crate) struct Lease {
    queue: SharedQueue,
    tag: Tag,
    /// False once the message is settled.
    is_open: bool,
    unsettled: Unsettled,
}

impl Lease {
    pub(crate) fn settle(mut self, settlement: Settlement) {
        self.is_open = false;
        if self.unsettled.permits(settlement) {
            self.queue.submit(Command::Settle(self.tag, settlement));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.is_open && self.unsettled.permits(Settlement::Redeliver) {
            let redeliver = Command::Settle(self.tag, Settlement::Redeliver);
            self.queue.submit(redeliver);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.tag.0)
    }
}

/// Stores a message and returns the store's answer.
pub(crate) async fn publish(queue: &SharedQueue, message: Outgoing) -> Result<(), PublishError> {
    let (done, confirmed) = oneshot::channel();
    queue.submit(Command::Publish(Box::new(message), done));
    confirmed.await.unwrap_or(Err(PublishError::Disconnected))
}

/// Stores messages one after another, so that none is stored without those before it: the
/// store may refuse a single one.
pub(crate) async fn publish_in_order(
    queue: &SharedQueue,
    messages: Vec<Outgoing>,
) -> Result<(), PublishError> {
    for message in messages {
        publish(queue, message).await?;
    }
    Ok(())
}

/// Takes the next messages of a queue, at most `messages`, and none after `bytes`
/// of bodies. Returns none if the queue is empty or the store is closed.
pub async fn take_batch(
    queue: &SharedQueue,
    name: &str,
    messages: usize,
    bytes: usize,
) -> Vec<Delivered> {
    let (answer, taken) = oneshot::channel();
    queue.submit(Command::Take(Take {
        queue: name.to_owned(),
        messages,
        bytes,
        answer,
    }));
    taken.await.unwrap_or_default()
}

/// Takes one message of a queue; `None` if there is none or the store is closed.
pub(crate) async fn take(queue: &SharedQueue, name: &str) -> Option<Delivered> {
    take_batch(queue, name, 1, 0).await.pop()
}

/// Counts the undelivered messages of a queue.
pub(crate) async fn depth(queue: &SharedQueue, name: &str) -> u32 {
    let (sender, counted) = oneshot::channel();
    queue.submit(Command::Depth(name.to_owned(), sender));
    counted.await.unwrap_or_default()
}

/// Counts the subscribers of a queue.
pub(crate) async fn subscribers(queue: &SharedQueue, name: &str) -> u32 {
    let (sender, counted) = oneshot::channel();
    queue.submit(Command::Count(name.to_owned(), sender));
    counted.await.unwrap_or_default()
}

/// Fails if a read or write of the store has failed, and is not repeated.
pub(crate) async fn check(queue: &SharedQueue) -> Result<(), QueueMessagesError> {
    let (sender, failure) = oneshot::channel();
    queue.submit(Command::Failure(sender));
    match failure.await {
        Ok(Some(failure)) => Err(QueueMessagesError::Store(failure)),
        Ok(None) | Err(_) => Ok(()),
    }
}

/// Counts the messages of all queues; `None` if they can't be read.
pub(crate) async fn census(queue: &SharedQueue) -> Option<Vec<QueueCensus>> {
    let (sender, counted) = oneshot::channel();
    queue.submit(Command::Census(sender));
    counted.await.ok()
}

/// Moves messages of a queue that no process serves; returns their number.
pub(crate) async fn reassign(
    queue: &SharedQueue,
    reassignment: Reassignment,
) -> Result<u32, PublishError> {
    let (sender, moved) = oneshot::channel();
    queue.submit(Command::Reassign(reassignment, sender));
    moved.await.unwrap_or(Err(PublishError::Refused))
}
