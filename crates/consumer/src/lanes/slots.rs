//! Parking slots of an owned lane: subscriptions, moves and barriers.

use futures_util::future::select_all;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use wahook_domain::{EventId, OrderKey, Parking, Place};
use wahook_queue::{
    ConsumerConnection, Depth, LaneSubscription, Outgoing, Received, SubscriptionEnded, topology,
};

use super::{
    lease::Lease,
    mover::{Mover, Parcel, ParkedEvent, SlotUse},
    parts::Lane,
};
use crate::{deliverer::Deliverer, session_error::SessionError};

/// RabbitMQ counts no messages and no consumers if the leader of a queue does not answer within
/// 250 ms. Counts that arrive sooner are those of the leader, unless the queue has none.
const COUNTED_WITHIN: Duration = Duration::from_millis(200);

/// Parking slots of one lane, as its owner uses them.
pub(super) struct Slots {
    lane: String,
    queues: Vec<String>,
    connection: Arc<ConsumerConnection>,
    endpoint: watch::Receiver<Arc<Deliverer>>,
    lease: Arc<Lease>,
    stop: CancellationToken,
    parking: Parking,
    /// Slots that are read, by number.
    open: Vec<Option<OpenSlot>>,
    /// Marker in the lane; until it returns, events of the former owner may follow.
    lane_marker: Option<EventId>,
    taken_over_at: Instant,
    moved: Arc<Notify>,
    opened: Arc<Notify>,
    /// True once the lack of a free slot is logged.
    is_short: bool,
}

struct OpenSlot {
    subscription: LaneSubscription,
    parcels: mpsc::UnboundedSender<Parcel>,
    mover: JoinHandle<()>,
    in_use: SlotUse,
    /// Time since which the oldest message in the lane is held for the mover.
    held_since: watch::Receiver<Option<Instant>>,
    /// Barrier that was published and not received.
    marker: Option<EventId>,
}

/// Occurrence in the slots.
pub(super) enum SlotEvent {
    /// A message of this slot.
    Received(usize, Box<Result<Received, SubscriptionEnded>>),
    /// Events were moved; a slot may be idle.
    Moved,
}

impl Slots {
    pub(super) fn new(lane: &Lane, stop: CancellationToken) -> Self {
        let queues = topology::slot_queues(&lane.queue);
        Self {
            lane: lane.queue.clone(),
            parking: Parking::new(queues.len()),
            open: queues.iter().map(|_| None).collect(),
            queues,
            connection: Arc::clone(&lane.connection),
            endpoint: lane.endpoint.clone(),
            lease: Arc::clone(&lane.lease),
            stop,
            lane_marker: None,
            taken_over_at: Instant::now(),
            moved: Arc::default(),
            opened: Arc::clone(&lane.slot_opened),
            is_short: false,
        }
    }

    /// Begins to read the slots that may have events of the former owner.
    pub(super) async fn take_over(&mut self) -> Result<(), SessionError> {
        self.taken_over_at = Instant::now();
        let depths = self.connection.depths(&self.queues).await?;
        let waited = self.taken_over_at.elapsed();
        for (slot, depth) in depths.iter().enumerate() {
            if may_have_events(*depth, waited) {
                self.open(slot).await?;
                self.parking.explore(slot);
                self.send_marker(slot);
            }
        }
        if self.parking.is_exploring() {
            let token = EventId::from(Uuid::new_v4());
            let marker = Outgoing::marker(&self.lane, token.clone());
            self.lane_marker = Some(token);
            let (publisher, stop) = (self.endpoint.borrow().publisher.clone(), self.stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = publisher.publish_until_confirmed(&marker) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        Ok(())
    }

    /// Notes a marker in the lane. One of another consumer shows that messages wait in slots
    /// that are not read.
    pub(super) async fn lane_marker(&mut self, token: &EventId) -> Result<(), SessionError> {
        if self.lane_marker.as_ref() == Some(token) {
            self.lane_marker = None;
            return Ok(());
        }
        let depths = self.connection.depths(&self.queues).await?;
        for (slot, depth) in depths.iter().enumerate() {
            let is_open = self.open.get(slot).is_some_and(Option::is_some);
            if depth.messages > 0 && !is_open {
                self.open(slot).await?;
                self.parking.read_strays(slot);
                self.send_marker(slot);
            }
        }
        Ok(())
    }

    /// Returns true while the former owner's events are being read: no event may start.
    pub(super) fn are_unknown(&self) -> bool {
        self.lane_marker.is_some() || self.parking.is_exploring()
    }

    /// Returns how long the former owner's events have been unknown.
    pub(super) fn unknown_for(&self) -> Duration {
        if self.are_unknown() {
            self.taken_over_at.elapsed()
        } else {
            Duration::ZERO
        }
    }

    /// Returns how long the oldest message of the lane has been held for its move.
    pub(super) fn moving_for(&self) -> Duration {
        let open = self.open.iter().flatten();
        let oldest = open.filter_map(|open| *open.held_since.borrow()).min();
        oldest.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Notes that as many messages of the lane are held as can be.
    pub(super) fn lane_filled(&mut self) {
        self.lane_marker = None;
    }

    /// Notes that as many messages of a slot are held as can be.
    pub(super) fn filled(&mut self, slot: usize) {
        self.parking.filled(slot);
    }

    pub(super) fn found(&mut self, slot: usize, key: &OrderKey, behind: &EventId) {
        self.parking.found(slot, key, behind);
    }

    /// Ends the search for keys, once the heads in the lane are known.
    pub(super) fn explored(&mut self) {
        self.parking.explored();
    }

    pub(super) fn place(&self, key: &OrderKey) -> Option<&Place> {
        self.parking.place(key)
    }

    /// Returns the number of parked keys.
    pub(super) fn parked(&self) -> usize {
        self.parking.parked()
    }

    /// Notes a marker in a slot.
    pub(super) fn marker(&mut self, slot: usize, token: &EventId) {
        let Some(place) = self.open.get_mut(slot) else {
            return;
        };
        let Some(open) = place.as_mut().filter(|o| o.marker.as_ref() == Some(token)) else {
            return;
        };
        open.marker = None;
        if self.parking.barrier_received(slot, open.is_idle()) {
            self.is_short = false;
            tracing::debug!(lane = self.lane, slot, "parking slot is empty");
            if let Some(open) = place.take() {
                tokio::spawn(open.close());
            }
        }
    }

    /// Parks a key in a free slot, and returns the slot.
    pub(super) async fn park(
        &mut self,
        key: &OrderKey,
        head: &EventId,
    ) -> Result<Option<usize>, SessionError> {
        let Some(slot) = self.parking.park(key.clone(), head.clone()) else {
            if !std::mem::replace(&mut self.is_short, true) && !self.queues.is_empty() {
                tracing::warn!(
                    lane = self.lane,
                    "no parking slot is free: more keys with many events wait for their failing first event than the lane has slots, so its other keys may wait as well; repair the receiver, give the failing events up (`endpoints give-up`), or configure more lanes"
                );
            }
            return Ok(None);
        };
        self.open(slot).await?;
        tracing::info!(lane = self.lane, slot, id = %head, "events of a key are parked, because its first event fails or takes long");
        Ok(Some(slot))
    }

    /// Moves an event of the lane to a slot.
    pub(super) fn send(&mut self, slot: usize, mut event: ParkedEvent) {
        if let Some(Some(open)) = self.open.get(slot) {
            self.parking.moved(slot);
            event.uses.push(Arc::clone(&open.in_use));
            // Fails if the lane is being given up.
            let _ = open.parcels.send(Parcel::Event(Box::new(event)));
        }
    }

    /// Returns the mark of an event of a slot in memory.
    pub(super) fn use_of(&self, slot: usize) -> Option<SlotUse> {
        let open = self.open.get(slot)?.as_ref()?;
        Some(Arc::clone(&open.in_use))
    }

    /// Publishes the barriers that are due.
    pub(super) fn send_barriers(&mut self) {
        let open = &self.open;
        let is_idle = |slot: usize| matches!(open.get(slot), Some(Some(open)) if open.is_idle());
        if let Some(slot) = self.parking.next_barrier(is_idle) {
            self.send_marker(slot);
        }
    }

    /// Waits for a message of a slot, or for the end of a move. Dropping the future loses none.
    pub(super) async fn next(&mut self) -> SlotEvent {
        let open = self.open.iter_mut().enumerate();
        let open = open.filter_map(|(slot, open)| Some((slot, open.as_mut()?)));
        let messages: Vec<_> = open
            .map(|(slot, open)| Box::pin(async move { (slot, open.subscription.next().await) }))
            .collect();
        if messages.is_empty() {
            return std::future::pending().await;
        }
        tokio::select! {
            ((slot, received), ..) = select_all(messages) => {
                SlotEvent::Received(slot, Box::new(received))
            }
            () = self.moved.notified() => SlotEvent::Moved,
        }
    }

    /// Completes the publishes in flight, then gives all slots up.
    pub(super) async fn close(&mut self) {
        for open in self.open.iter_mut().filter_map(Option::take) {
            open.close().await;
        }
    }

    async fn open(&mut self, slot: usize) -> Result<(), SessionError> {
        let (Some(queue), Some(place)) = (self.queues.get(slot), self.open.get_mut(slot)) else {
            return Ok(());
        };
        let subscription = self.connection.subscribe_lane(queue).await?;
        let (sender, parcels) = mpsc::unbounded_channel();
        let (oldest, held_since) = watch::channel(None);
        let mover = Mover {
            queue: queue.clone(),
            endpoint: self.endpoint.clone(),
            lease: Arc::clone(&self.lease),
            stop: self.stop.clone(),
            parcels,
            held_since: oldest,
            moved: Arc::clone(&self.moved),
        };
        *place = Some(OpenSlot {
            subscription,
            parcels: sender,
            mover: tokio::spawn(mover.run()),
            in_use: SlotUse::default(),
            held_since,
            marker: None,
        });
        self.opened.notify_one();
        Ok(())
    }

    fn send_marker(&mut self, slot: usize) {
        if let Some(Some(open)) = self.open.get_mut(slot) {
            let token = EventId::from(Uuid::new_v4());
            open.marker = Some(token.clone());
            let _ = open.parcels.send(Parcel::Marker(token));
        }
    }
}

/// Returns true if a slot can have events, or still has an owner. `waited` is the time that all
/// counts took together.
fn may_have_events(depth: Depth, waited: Duration) -> bool {
    depth.messages > 0 || depth.consumers > 0 || waited >= COUNTED_WITHIN
}

impl OpenSlot {
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.in_use) == 1
    }

    async fn close(self) {
        drop(self.parcels);
        // A task ends early only with its runtime.
        let _ = self.mover.await;
        self.subscription.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_quick_count_of_none_is_trusted() {
        let depth = |messages, consumers| Depth {
            messages,
            consumers,
        };
        for (depth, waited, expected) in [
            (depth(0, 0), 3, false),
            (depth(0, 0), 199, false),
            (depth(0, 0), 250, true),
            (depth(1, 0), 3, true),
            (depth(0, 1), 3, true),
        ] {
            let waited = Duration::from_millis(waited);
            assert_eq!(may_have_events(depth, waited), expected, "{depth:?}");
        }
    }
}
