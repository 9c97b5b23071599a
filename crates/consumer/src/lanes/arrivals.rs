//! Arrival of events at the owner of a lane: from the lane, and from its parking slots.

use std::{mem, sync::Arc, time::Duration};
use tokio::time::Instant;
use wahook_domain::{EventId, OrderKey, QueuedEvent};
use wahook_failpoint::{self as failpoint, Failpoint};
use wahook_queue::{LANE_PREFETCH, Parked, Receipt, Received};

use super::{
    head::Head,
    held::{Arrival, Held},
    mover::{ParkedEvent, SlotUse},
    owner::Owner,
};
use crate::{deliverer::log_ack_failure, session_error::SessionError};

/// Events that may wait behind the head of a key before they are parked: a quarter of what
/// the owner holds of its lane.
const MOST_WAITING: usize = LANE_PREFETCH as usize / 4;
/// Time since the start of a head's first attempt after which its key is parked while an
/// attempt lasts. A wait for a permit or a rate limit does not count.
const STUCK_AFTER: Duration = Duration::from_millis(250);

impl Owner {
    /// Takes a message of the lane.
    pub(super) async fn take(&mut self, received: Received) -> Result<(), SessionError> {
        failpoint::pass(Failpoint::Received);
        if self.owned.is_none() {
            self.owned = Some(self.balance.own(self.number));
            self.metrics.own(true);
            self.slots.take_over().await?;
        }
        if let Some(token) = received.marker() {
            log_ack_failure(received.receipt.ack().await);
            self.slots.lane_marker(&token).await?;
        } else if let Some(arrival) = self.decode(received, None).await {
            self.arrived(arrival).await?;
        }
        self.sort_early().await
    }

    /// Takes a message of a parking slot.
    pub(super) async fn take_parked(
        &mut self,
        slot: usize,
        received: Received,
    ) -> Result<(), SessionError> {
        failpoint::pass(Failpoint::Received);
        if let Some(token) = received.marker() {
            log_ack_failure(received.receipt.ack().await);
            self.slots.marker(slot, &token);
        } else if let Some(in_use) = self.slots.use_of(slot) {
            let parked = received.parked();
            if let Some(mut arrival) = self.decode(received, Some((slot, in_use))).await {
                if let Some(Parked::Event { behind, may_repeat }) = parked {
                    let place = self.slots.place(&arrival.key);
                    let is_stray =
                        !self.slots.are_unknown() && place.is_none_or(|place| place.slot != slot);
                    self.slots.found(slot, &arrival.key, &behind);
                    arrival.is_repeat |= may_repeat || is_stray;
                }
                self.arrived(arrival).await?;
            }
        }
        self.sort_early().await
    }

    /// Returns the event of a message, or `None` after settling one that needs no delivery.
    async fn decode(&self, received: Received, slot: Option<(usize, SlotUse)>) -> Option<Arrival> {
        let endpoint = self.current();
        let is_repeat = received.redelivered;
        let (event, receipt) = endpoint.decode(received).await?;
        if self.runner.panics.are_endless(&event.id) {
            endpoint.reject_poison(&event, receipt).await;
            return None;
        }
        Some(Arrival {
            key: endpoint.lane_key(&event),
            event,
            receipt,
            slot,
            is_repeat,
        })
    }

    async fn arrived(&mut self, arrival: Arrival) -> Result<(), SessionError> {
        if !self.slots.are_unknown() {
            return self.add_or_park(arrival).await;
        }
        let slot = arrival.number();
        self.early.push(arrival);
        let held = self.early.iter().filter(|early| early.number() == slot);
        if held.count() >= LANE_PREFETCH.into() {
            match slot {
                Some(slot) => self.slots.filled(slot),
                None => self.slots.lane_filled(),
            }
        }
        Ok(())
    }

    /// Adds the events that arrived early, once all keys of the slots are known: blocked
    /// heads in the lane, then parked events, then the others in the lane.
    async fn sort_early(&mut self) -> Result<(), SessionError> {
        if self.slots.are_unknown() {
            return Ok(());
        }
        let early = mem::take(&mut self.early);
        let (parked, of_lane): (Vec<_>, Vec<_>) =
            early.into_iter().partition(|early| early.slot.is_some());
        let (heads, others): (Vec<_>, Vec<_>) = of_lane.into_iter().partition(|early| {
            let place = self.slots.place(&early.key);
            early.is_repeat && place.is_some_and(|place| place.follows(&early.event.id))
        });
        self.slots.explored();
        for head in heads {
            self.add(head).await;
        }
        for early in parked.into_iter().chain(others) {
            self.add_or_park(early).await?;
        }
        Ok(())
    }

    /// Adds an event to those of its key, or sends it after them if they are parked.
    async fn add_or_park(&mut self, arrival: Arrival) -> Result<(), SessionError> {
        let place = self.slots.place(&arrival.key);
        let elsewhere = place.filter(|place| arrival.number() != Some(place.slot));
        let place = elsewhere.and_then(|place| Some((place.slot, place.behind()?.clone())));
        if let Some((slot, behind)) = place {
            self.send(slot, behind, arrival).await;
            return Ok(());
        }
        let key = (self.events.held() >= MOST_WAITING).then(|| arrival.key.clone());
        self.add(arrival).await;
        match key {
            Some(key) => self.park_if_stuck(&key).await,
            None => Ok(()),
        }
    }

    /// Adds an event to those of its key, or settles it if it needs no delivery.
    async fn add(&mut self, arrival: Arrival) {
        let Arrival {
            event,
            key,
            receipt,
            slot,
            is_repeat,
        } = arrival;
        let uses = slot.map(|(_, in_use)| in_use);
        // Another event may have the same id.
        if is_repeat
            && let Some(held) = self.events.held_event(&key, &event.id)
            && held.accepted_at == event.accepted_at
        {
            held.others.push(receipt);
            held.uses.extend(uses);
            return;
        }
        let Some(receipt) = self.pass_filter(&event, receipt, is_repeat).await else {
            return;
        };
        let (id, start) = (event.id.clone(), self.start.elapsed() + self.repeat_wait);
        let accepted_at = event.accepted_at;
        let began = Arc::default();
        let head = Head {
            event,
            receipt,
            is_repeat,
            began: Arc::clone(&began),
        };
        let held = Held {
            head: Some(head),
            accepted_at,
            others: Vec::new(),
            uses: uses.into_iter().collect(),
            since: Instant::now(),
            began,
        };
        self.events.add(key, id, held, is_repeat.then_some(start));
    }

    /// Returns the receipt, or `None` after acknowledging an event that the filter drops. A
    /// repeat may have been tried, so its filter waits for the look-up.
    async fn pass_filter(
        &self,
        event: &QueuedEvent,
        receipt: Receipt,
        is_repeat: bool,
    ) -> Option<Receipt> {
        if is_repeat {
            return Some(receipt);
        }
        self.current().pass_filter(event, receipt).await
    }

    async fn send(&mut self, slot: usize, behind: EventId, arrival: Arrival) {
        let (event, is_repeat) = (arrival.event, arrival.is_repeat);
        let receipt = self.pass_filter(&event, arrival.receipt, is_repeat).await;
        if let Some(receipt) = receipt {
            let moved = ParkedEvent {
                event,
                behind,
                is_repeat,
                receipts: vec![receipt],
                since: Instant::now(),
                uses: arrival.slot.into_iter().map(|(_, in_use)| in_use).collect(),
            };
            self.slots.send(slot, moved);
        }
    }

    /// Parks all keys with many events behind a head that fails or takes long.
    pub(super) async fn park_stuck(&mut self) -> Result<(), SessionError> {
        let stuck = self.events.stuck(MOST_WAITING, takes_long);
        for key in stuck.cloned().collect::<Vec<_>>() {
            self.park_if_stuck(&key).await?;
        }
        Ok(())
    }

    /// Returns true if enough events are held for a key to be stuck.
    pub(super) fn may_be_stuck(&self) -> bool {
        self.events.held() > MOST_WAITING
    }

    /// Parks a key if many events wait behind a head that fails or takes long.
    pub(super) async fn park_if_stuck(&mut self, key: &OrderKey) -> Result<(), SessionError> {
        let is_stuck = self.events.is_stuck(key, MOST_WAITING, takes_long);
        // While the endpoint is paused, nothing is attempted.
        if !is_stuck || self.slots.place(key).is_some() || self.admission.is_paused() {
            return Ok(());
        }
        let Some(head) = self.events.head_id(key).cloned() else {
            return Ok(());
        };
        let Some(slot) = self.slots.park(key, &head).await? else {
            return Ok(());
        };
        for (_, held) in self.events.take_waiting(key) {
            // Only heads run.
            if let Some(waiting) = held.head {
                let receipts = [waiting.receipt].into_iter().chain(held.others);
                let moved = ParkedEvent {
                    event: waiting.event,
                    behind: head.clone(),
                    is_repeat: waiting.is_repeat,
                    receipts: receipts.collect(),
                    since: held.since,
                    uses: held.uses,
                };
                self.slots.send(slot, moved);
            }
        }
        Ok(())
    }
}

fn takes_long(head: &Held) -> bool {
    head.is_attempted_for(STUCK_AFTER)
}
