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
    topology::Topology,
};

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
    /// Delivers one message, if the queue has one.
    Take(String, oneshot::Sender<Option<Delivered>>),
    /// Counts the undelivered messages of a queue.
    Depth(String, oneshot::Sender<u32>),
    /// Counts the subscribers of a queue.
    Count(String, oneshot::Sender<u32>),
    /// Settles a delivered message.
    Settle(Tag, Settlement),
    /// Counts the messages of all queues. Without an answer they can't be read.
    Census(oneshot::Sender<Vec<QueueCensus>>),
    /// Moves messages of a queue that no process serves. The answer is their
    /// number, 0 after the last one.
    Reassign(Reassignment, oneshot::Sender<Result<u32, PublishError>>),
}

/// Identifies a subscriber within this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(u64);

/// Receiver of a queue's messages.
pub struct Subscriber {
    pub id: SubscriberId,
    /// Name of the queue.
    pub queue: String,
    /// Limit of delivered messages that are not settled.
    pub prefetch: u16,
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
            lease: Lease::new(queue, tag),
        }
    }
}

/// Settles a message of the store, once. Dropping it requeues the message.
pub(crate) struct Lease {
    queue: SharedQueue,
    tag: Tag,
    is_settled: bool,
}

impl Lease {
    fn new(queue: SharedQueue, tag: Tag) -> Self {
        Self {
            queue,
            tag,
            is_settled: false,
        }
    }

    pub(crate) fn settle(mut self, settlement: Settlement) {
        self.is_settled = true;
        self.queue.submit(Command::Settle(self.tag, settlement));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_settled {
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

/// Subscriber's side of a subscription. Dropping it ends the subscription and
/// requeues unread messages.
pub(crate) struct LocalSubscription {
    queue: SharedQueue,
    id: SubscriberId,
    messages: mpsc::UnboundedReceiver<Delivered>,
}

impl LocalSubscription {
    pub(crate) fn begin(queue: SharedQueue, name: &str, prefetch: u16) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = SubscriberId(NEXT.fetch_add(1, Ordering::Relaxed));
        let (sender, messages) = mpsc::unbounded_channel();
        queue.submit(Command::Subscribe(Subscriber {
            id,
            queue: name.to_owned(),
            prefetch,
            messages: sender,
        }));
        Self {
            queue,
            id,
            messages,
        }
    }

    /// Waits for the next message; `None` once the subscription has ended.
    pub(crate) async fn next(&mut self) -> Option<Delivered> {
        self.messages.recv().await
    }

    pub(crate) fn cancel(&self) {
        self.queue.submit(Command::Cancel(self.id));
    }
}

impl Drop for LocalSubscription {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Stores a message and returns the store's answer.
pub(crate) async fn publish(queue: &SharedQueue, message: Outgoing) -> Result<(), PublishError> {
    let (done, confirmed) = oneshot::channel();
    queue.submit(Command::Publish(Box::new(message), done));
    confirmed.await.unwrap_or(Err(PublishError::Disconnected))
}

/// Takes one message of a queue; `None` if there is none or the store is closed.
pub(crate) async fn take(queue: &SharedQueue, name: &str) -> Option<Delivered> {
    let (sender, taken) = oneshot::channel();
    queue.submit(Command::Take(name.to_owned(), sender));
    taken.await.unwrap_or_default()
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
