//! State of the queues in memory: subscribers, ready messages and leased messages.

mod queue;

use std::collections::{BTreeMap, HashMap};

use wahook_queue::{
    Stored,
    local::{Delivered, SharedQueue, Subscriber, SubscriberId},
    topology::DEAD_QUEUE,
};

pub(crate) use queue::Ready;
use queue::{Queue, Subscribed};

/// Number of ready messages below which a queue is refilled from the file.
const REFILL_BELOW: usize = 256;

/// Queues that were used since the start.
#[derive(Default)]
pub(crate) struct Queues {
    by_name: BTreeMap<String, Queue>,
    leased: HashMap<i64, Leased>,
}

/// Lease of a message.
struct Leased {
    queue: String,
    subscriber: Option<SubscriberId>,
    /// True once its subscription to a lane has ended.
    is_returning: bool,
}

impl Queues {
    pub(crate) fn subscribe(&mut self, subscriber: Subscriber) {
        let subscribed = Subscribed {
            id: subscriber.id,
            free: subscriber.prefetch.into(),
            is_single_active: subscriber.is_single_active,
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

    /// Ends a subscription to a lane. Returns its unsettled messages, the newest first:
    /// until all are settled or in their places, the next subscription gets none.
    pub(crate) fn give_up(&mut self, id: SubscriberId) -> Vec<i64> {
        self.cancel(id);
        let mut unsettled = Vec::new();
        for (seq, leased) in &mut self.leased {
            if leased.subscriber == Some(id) {
                leased.is_returning = true;
                unsettled.push(*seq);
                if let Some(queue) = self.by_name.get_mut(&leased.queue) {
                    queue.returning += 1;
                }
            }
        }
        unsettled.sort_unstable_by(|a, b| b.cmp(a));
        unsettled
    }

    pub(crate) fn subscribers(&self, queue: &str) -> usize {
        self.by_name
            .get(queue)
            .map_or(0, |queue| queue.subscribers.len())
    }

    /// Adds a message that was written to the file, unless it has to wait for a refill.
    pub(crate) fn arrived(&mut self, queue: &str, seq: i64, message: &Stored) {
        // Dead letters have no subscribers, so they never take memory.
        let Some(queue) = self.by_name.get_mut(queue) else {
            return;
        };
        if queue.has_more || queue.subscribers.is_empty() || queue.is_full() {
            queue.has_more = true;
            return;
        }
        queue.cursor = seq;
        queue.push(Ready {
            seq,
            message: message.detached(),
            redelivered: false,
        });
    }

    /// Returns the queues to refill, with their cursors: those with a free subscriber, few
    /// ready messages, and possibly more in the file.
    pub(crate) fn needing_refill(&self) -> Vec<(String, i64)> {
        let needs_refill = |queue: &Queue| {
            queue.has_more
                && queue.ready.len() < REFILL_BELOW
                && queue.subscribers.iter().any(Subscribed::has_capacity)
        };
        let needing_refill = self.by_name.iter().filter(|(_, queue)| needs_refill(queue));
        needing_refill
            .map(|(name, queue)| (name.clone(), queue.cursor))
            .collect()
    }

    /// Returns the cursor if no message is ready and the file may have more.
    pub(crate) fn refill_cursor(&mut self, queue: &str) -> Option<i64> {
        let queue = self.by_name.entry(queue.to_owned()).or_default();
        (queue.ready.is_empty() && queue.has_more).then_some(queue.cursor)
    }

    /// Adds the next messages from the file; `are_all` is true if there are no more. `None`
    /// marks a message that must not be delivered.
    pub(crate) fn loaded(&mut self, name: &str, found: Vec<(i64, Option<Ready>)>, are_all: bool) {
        let queue = self.by_name.entry(name.to_owned()).or_default();
        queue.has_more = !are_all;
        for (seq, ready) in found {
            queue.cursor = seq;
            // After a return to the file, a message may be loaded while it is leased.
            if name == DEAD_QUEUE && self.leased.contains_key(&seq) {
                continue;
            }
            if let Some(ready) = ready {
                queue.push(ready);
            }
        }
    }

    /// Delivers ready messages to free subscribers, in turn.
    pub(crate) fn deliver(&mut self, shared: &SharedQueue) {
        for (name, queue) in &mut self.by_name {
            while !queue.ready.is_empty() {
                let Some(index) = queue.next_subscriber() else {
                    break;
                };
                // Round robin: the first free subscriber gets the message.
                queue.subscribers.rotate_left(index);
                let Some(ready) = queue.pop() else { break };
                let Some(subscriber) = queue.subscribers.front_mut() else {
                    break;
                };
                subscriber.free -= 1;
                let leased = Leased {
                    queue: name.clone(),
                    subscriber: Some(subscriber.id),
                    is_returning: false,
                };
                self.leased.insert(ready.seq, leased);
                if subscriber.is_single_active {
                    // If the subscriber is gone, its command to give up follows.
                    let _ = subscriber.messages.send(ready.delivered(shared).of_lane());
                } else if subscriber.messages.send(ready.delivered(shared)).is_ok() {
                    queue.subscribers.rotate_left(1);
                } else {
                    // The subscriber is gone; dropping the message requeues it.
                    queue.subscribers.pop_front();
                }
            }
        }
    }

    /// Leases one message of a queue without a subscription; returns it with the size of its
    /// body.
    pub(crate) fn lease_one(
        &mut self,
        name: &str,
        shared: &SharedQueue,
    ) -> Option<(usize, Delivered)> {
        let ready = self.by_name.get_mut(name)?.pop()?;
        let size = ready.message.payload.len();
        let leased = Leased {
            queue: name.to_owned(),
            subscriber: None,
            is_returning: false,
        };
        self.leased.insert(ready.seq, leased);
        Some((size, ready.delivered(shared)))
    }

    /// Returns the number of leased messages of a queue.
    pub(crate) fn leased_count(&self, queue: &str) -> u32 {
        let of_queue = self.leased.values().filter(|leased| leased.queue == queue);
        of_queue.count().try_into().unwrap_or(u32::MAX)
    }

    /// Returns the queue of a leased message.
    pub(crate) fn queue_of(&self, seq: i64) -> Option<&str> {
        self.leased.get(&seq).map(|leased| leased.queue.as_str())
    }

    /// Ends the lease of a message.
    pub(crate) fn settled(&mut self, seq: i64) {
        let Some(leased) = self.leased.remove(&seq) else {
            return;
        };
        let Some(queue) = self.by_name.get_mut(&leased.queue) else {
            return;
        };
        if leased.is_returning {
            queue.returning -= 1;
        }
        let subscriber = queue
            .subscribers
            .iter_mut()
            .find(|subscriber| Some(subscriber.id) == leased.subscriber);
        if let Some(subscriber) = subscriber {
            subscriber.free += 1;
        }
    }

    /// Reads the dead letters from the first one again: another process may have removed some, or
    /// made dead letters of older messages.
    pub(crate) fn reread_dead_letters(&mut self) {
        if let Some(queue) = self.by_name.get_mut(DEAD_QUEUE) {
            *queue = Queue::default();
        }
    }

    /// Puts a message at the head of its queue. Dead letters stay in the file only: another
    /// process may remove them there.
    pub(crate) fn requeued(&mut self, name: &str, seq: i64, message: Stored) {
        if name == DEAD_QUEUE {
            self.reread_dead_letters();
        } else if let Some(queue) = self.by_name.get_mut(name) {
            queue.ready_bytes += message.payload.len();
            queue.ready.push_front(Ready {
                seq,
                message,
                redelivered: true,
            });
        }
    }
}
