//! Held events of a lane: in memory until their delivery ends, and those that hold their key
//! back because their retries are exhausted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use wahook_domain::{EventId, OrderKey, QueuedEvent, Sequencer, UnixMillis};
use wahook_queue::Receipt;

use super::{head::Head, mover::SlotUse};
use crate::admission::Admission;

/// Event with its message, before it is held.
pub(super) struct Arrival {
    pub(super) event: QueuedEvent,
    pub(super) key: OrderKey,
    pub(super) receipt: Receipt,
    /// Slot of the message; `None` for the lane.
    pub(super) slot: Option<(usize, SlotUse)>,
    /// True if the event may have been attempted.
    pub(super) is_repeat: bool,
}

impl Arrival {
    /// Returns the number of its slot; `None` for the lane.
    pub(super) fn number(&self) -> Option<usize> {
        self.slot.as_ref().map(|(slot, _)| *slot)
    }
}

/// Event in memory until its delivery ends.
pub(super) struct Held {
    /// `None` while it runs.
    pub(super) head: Option<Head>,
    pub(super) accepted_at: UnixMillis,
    /// Receipts of further messages of the event: redelivered to the same owner, or
    /// published twice.
    pub(super) others: Vec<Receipt>,
    /// Marks of its messages in slots.
    pub(super) uses: Vec<SlotUse>,
    pub(super) since: Instant,
    /// Start of its first attempt by this owner, once it has its permit.
    pub(super) began: Arc<OnceLock<Instant>>,
}

impl Held {
    /// Returns true if it is attempted for so long.
    pub(super) fn is_attempted_for(&self, limit: Duration) -> bool {
        let began = self.began.get();
        began.is_some_and(|began| began.elapsed() >= limit)
    }
}

/// Keys whose head is retried until it is delivered or given up.
pub(super) struct HeldKeys {
    keys: BTreeSet<OrderKey>,
    /// Events that operators have given up.
    give_ups: watch::Receiver<BTreeMap<EventId, String>>,
}

impl HeldKeys {
    pub(super) fn new(admission: &Admission) -> Self {
        Self {
            keys: BTreeSet::new(),
            give_ups: admission.give_ups(),
        }
    }

    /// Notes the end of a key's head.
    pub(super) fn settled(&mut self, key: &OrderKey) {
        self.keys.remove(key);
    }

    /// Notes that the head of a key waits for its next attempt.
    pub(super) fn delayed(&mut self, key: &OrderKey, is_held: bool) {
        if is_held {
            self.keys.insert(key.clone());
        } else {
            self.keys.remove(key);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.keys.len()
    }

    /// Waits until operators give up other events.
    pub(super) async fn given_up(&mut self) {
        if self.give_ups.changed().await.is_err() {
            // The endpoint is gone.
            std::future::pending::<()>().await;
        }
    }

    /// Lets heads that were given up run at once, which ends them. A redelivered one waits for
    /// the end of the former owner's lease.
    pub(super) fn hasten(&self, events: &mut Sequencer<Held>) {
        let given_up = self.give_ups.borrow();
        if !given_up.is_empty() {
            let is_tried = |held: &Held| held.head.as_ref().is_some_and(|head| !head.is_repeat);
            events.hasten(|id, held| given_up.contains_key(id) && is_tried(held));
        }
    }
}
