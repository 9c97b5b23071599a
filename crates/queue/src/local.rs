//! A queue within this process, in RabbitMQ's place: where producer, consumer and store are
//! one program.
//!
//! [`Publisher`](crate::Publisher), [`ConsumerConnection`](crate::ConsumerConnection) and what they hand out are the
//! same for both, so nobody above knows which it is. What they ask of the store travels as
//! [`Command`]s, each with the way back for its answer; a store that is gone drops them,
//! which answers them too.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    consumer_connection::Received, link::LinkState, message::Outgoing, publisher::PublishError,
    topology::Topology,
};

/// Who keeps the messages. The seam exists for the embedded store, which is above this
/// crate.
pub trait LocalQueue: Send + Sync + 'static {
    /// Takes a command, and never waits.
    fn submit(&self, command: Command);

    /// Whether it takes messages, to watch.
    fn link(&self) -> watch::Receiver<LinkState>;
}

/// The same queue, shared by all who use it.
pub type SharedQueue = Arc<dyn LocalQueue>;

/// What a queue is asked for.
pub enum Command {
    /// From now on messages are routed by this topology too, and by its obsolete bindings
    /// no more.
    Declare(Topology),
    /// Keep a message. The answer comes once it is durable.
    Publish(Box<Outgoing>, oneshot::Sender<Result<(), PublishError>>),
    /// Hand out a queue's messages, one after the other.
    Subscribe(Subscriber),
    /// Hand out no more of them, and drop the sender.
    Cancel(SubscriberId),
    /// Hand out one message, where there is one.
    Take(String, oneshot::Sender<Option<Received>>),
    /// How many messages a queue holds that are not handed out.
    Depth(String, oneshot::Sender<u32>),
    /// How many are subscribed.
    Count(String, oneshot::Sender<u32>),
    /// What becomes of a message that was handed out.
    Settle(Tag, Settlement),
}

/// Names a subscriber within this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(u64);

/// Who gets a queue's messages.
pub struct Subscriber {
    /// Names it.
    pub id: SubscriberId,
    /// Which queue's.
    pub queue: String,
    /// So many may be with it and not yet settled.
    pub prefetch: u16,
    /// Where they go; closed when it has gone away.
    pub messages: mpsc::UnboundedSender<Received>,
}

/// Names a message that was handed out, as the store likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub i64);

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It is dealt with.
    Ack,
    /// It goes to its queue's dead letters, unchanged.
    Reject,
    /// It goes back to its queue.
    Requeue,
}

/// The right to settle a message, once. Dropped, it puts the message back.
pub(crate) struct Lease {
    queue: SharedQueue,
    tag: Tag,
    is_settled: bool,
}

impl Lease {
    pub(crate) fn new(queue: SharedQueue, tag: Tag) -> Self {
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
            let requeue = Command::Settle(self.tag, Settlement::Requeue);
            self.queue.submit(requeue);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({})", self.tag.0)
    }
}

/// A subscription as its user holds it. Dropped, it ends, and what was not taken of it is
/// put back.
pub(crate) struct LocalSubscription {
    queue: SharedQueue,
    id: SubscriberId,
    messages: mpsc::UnboundedReceiver<Received>,
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

    /// `None` once it has ended.
    pub(crate) async fn next(&mut self) -> Option<Received> {
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

/// Keeps a message; the answer is the store's.
pub(crate) async fn publish(queue: &SharedQueue, message: Outgoing) -> Result<(), PublishError> {
    let (done, confirmed) = oneshot::channel();
    queue.submit(Command::Publish(Box::new(message), done));
    confirmed.await.unwrap_or(Err(PublishError::Disconnected))
}
