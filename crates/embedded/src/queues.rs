//! What is known of the queues in memory: who wants messages, which are next, and which are
//! handed out.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::sync::mpsc::UnboundedSender;
use wahook_queue::{
    Received, Stored,
    local::{SharedQueue, Subscriber, SubscriberId, Tag},
};

/// Messages of one queue that are kept in memory, at the most, and bytes. More stay in the
/// file alone until those are handed out.
const MOST_READY: usize = 2_000;
const MOST_READY_BYTES: usize = 16 << 20;
/// When a queue is filled up from the file again.
const FEW_READY: usize = 256;

/// All queues that somebody has used.
#[derive(Default)]
pub(crate) struct Queues {
    by_name: BTreeMap<String, Queue>,
    handed: HashMap<i64, Handed>,
}

/// A message that is handed out.
struct Handed {
    queue: String,
    subscriber: Option<SubscriberId>,
}

/// A message that can be handed out.
pub(crate) struct Ready {
    pub(crate) seq: i64,
    pub(crate) message: Stored,
    pub(crate) redelivered: bool,
}

struct Queue {
    ready: VecDeque<Ready>,
    ready_bytes: usize,
    /// The last message that was ever ready: those in the file after it are still to come.
    cursor: i64,
    /// Whether there may be such.
    behind: bool,
    subscribers: VecDeque<Subscribed>,
}

struct Subscribed {
    id: SubscriberId,
    free: usize,
    messages: UnboundedSender<Received>,
}

/// What is known of a queue that nobody has used: there may be something in the file.
impl Default for Queue {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            ready_bytes: 0,
            cursor: 0,
            behind: true,
            subscribers: VecDeque::new(),
        }
    }
}

impl Queues {
    pub(crate) fn subscribe(&mut self, subscriber: Subscriber) {
        let subscribed = Subscribed {
            id: subscriber.id,
            free: subscriber.prefetch.into(),
            messages: subscriber.messages,
        };
        let queue = self.by_name.entry(subscriber.queue).or_default();
        queue.subscribers.push_back(subscribed);
    }

    pub(crate) fn cancel(&mut self, id: SubscriberId) {
        for queue in self.by_name.values_mut() {
            queue.subscribers.retain(|subscriber| subscriber.id != id);
        }
    }

    pub(crate) fn subscribers(&self, queue: &str) -> usize {
        self.by_name
            .get(queue)
            .map_or(0, |queue| queue.subscribers.len())
    }

    /// A new message is in the file. It is kept in memory too where it is next.
    pub(crate) fn arrived(&mut self, queue: &str, seq: i64, message: &Stored) {
        // Nobody subscribes to dead letters: they never take memory.
        let Some(queue) = self.by_name.get_mut(queue) else {
            return;
        };
        if queue.behind || queue.subscribers.is_empty() || queue.is_full() {
            queue.behind = true;
            return;
        }
        queue.cursor = seq;
        queue.push(Ready {
            seq,
            message: message.detached(),
            redelivered: false,
        });
    }

    /// Those queues that have somebody to hand out to, few messages in memory, and perhaps
    /// more in the file: each with the last one that was ready.
    pub(crate) fn hungry(&self) -> Vec<(String, i64)> {
        let is_hungry = |queue: &Queue| {
            queue.behind && queue.ready.len() < FEW_READY && queue.subscribers.iter().any(is_free)
        };
        let hungry = self.by_name.iter().filter(|(_, queue)| is_hungry(queue));
        hungry
            .map(|(name, queue)| (name.clone(), queue.cursor))
            .collect()
    }

    /// The last one that was ready, where none is in memory and there may be more.
    pub(crate) fn is_empty_after(&mut self, queue: &str) -> Option<i64> {
        let queue = self.by_name.entry(queue.to_owned()).or_default();
        (queue.ready.is_empty() && queue.behind).then_some(queue.cursor)
    }

    /// Messages from the file, the next in order, and whether those are all. Those that are
    /// `None` are in the file and are not to be handed out.
    pub(crate) fn filled(&mut self, name: &str, found: Vec<(i64, Option<Ready>)>, are_all: bool) {
        let queue = self.by_name.entry(name.to_owned()).or_default();
        queue.behind = !are_all;
        for (seq, ready) in found {
            queue.cursor = seq;
            if let Some(ready) = ready {
                queue.push(ready);
            }
        }
    }

    /// Hands out whatever can be.
    pub(crate) fn hand_out(&mut self, shared: &SharedQueue) {
        for (name, queue) in &mut self.by_name {
            while !queue.ready.is_empty() {
                let Some(place) = queue.subscribers.iter().position(is_free) else {
                    break;
                };
                // The next one gets the next message.
                queue.subscribers.rotate_left(place);
                let Some(ready) = queue.pop() else { break };
                let Some(subscriber) = queue.subscribers.front_mut() else {
                    break;
                };
                subscriber.free -= 1;
                let handed = Handed {
                    queue: name.clone(),
                    subscriber: Some(subscriber.id),
                };
                self.handed.insert(ready.seq, handed);
                if subscriber.messages.send(ready.received(shared)).is_ok() {
                    queue.subscribers.rotate_left(1);
                } else {
                    // It has gone away; the message goes back by itself.
                    queue.subscribers.pop_front();
                }
            }
        }
    }

    /// Hands out one message of a queue without a subscription.
    pub(crate) fn take(&mut self, name: &str, shared: &SharedQueue) -> Option<Received> {
        let ready = self.by_name.get_mut(name)?.pop()?;
        let handed = Handed {
            queue: name.to_owned(),
            subscriber: None,
        };
        self.handed.insert(ready.seq, handed);
        Some(ready.received(shared))
    }

    /// How many of a queue are handed out.
    pub(crate) fn handed_out(&self, queue: &str) -> u32 {
        let of_queue = self.handed.values().filter(|handed| handed.queue == queue);
        of_queue.count().try_into().unwrap_or(u32::MAX)
    }

    /// The queue of a message that is handed out.
    pub(crate) fn queue_of(&self, seq: i64) -> Option<&str> {
        self.handed.get(&seq).map(|handed| handed.queue.as_str())
    }

    /// A message is no longer handed out.
    pub(crate) fn settled(&mut self, seq: i64) {
        let Some(handed) = self.handed.remove(&seq) else {
            return;
        };
        let Some(queue) = self.by_name.get_mut(&handed.queue) else {
            return;
        };
        let subscriber = queue
            .subscribers
            .iter_mut()
            .find(|subscriber| Some(subscriber.id) == handed.subscriber);
        if let Some(subscriber) = subscriber {
            subscriber.free += 1;
        }
    }

    /// A message that was handed out is the first of its queue again.
    pub(crate) fn returned(&mut self, queue: &str, seq: i64, message: Stored) {
        if let Some(queue) = self.by_name.get_mut(queue) {
            queue.ready_bytes += message.payload().len();
            queue.ready.push_front(Ready {
                seq,
                message,
                redelivered: true,
            });
        }
    }
}

impl Queue {
    fn push(&mut self, ready: Ready) {
        self.ready_bytes += ready.message.payload().len();
        self.ready.push_back(ready);
    }

    fn pop(&mut self) -> Option<Ready> {
        let ready = self.ready.pop_front()?;
        self.ready_bytes -= ready.message.payload().len();
        Some(ready)
    }

    fn is_full(&self) -> bool {
        self.ready.len() >= MOST_READY || self.ready_bytes >= MOST_READY_BYTES
    }
}

impl Ready {
    fn received(self, shared: &SharedQueue) -> Received {
        let tag = Tag(self.seq);
        Received::local(
            self.message,
            self.redelivered,
            tag,
            SharedQueue::clone(shared),
        )
    }
}

fn is_free(subscriber: &Subscribed) -> bool {
    subscriber.free > 0
}
