//! Owner of a lane: holds its events and starts the next one of each key.

use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use wahook_domain::{OrderKey, Sequencer};
use wahook_queue::{ConnectError, LaneSubscription, Receipt, SubscriptionEnded};

use super::{
    balance::{Balance, Owned},
    head::{HeadEnd, Runner},
    held::{Arrival, Held, HeldKeys},
    parts::Lane,
    slots::{SlotEvent, Slots},
};
use crate::{
    admission::Admission,
    deliverer::{Deliverer, log_ack_failure},
    metrics::LaneMetrics,
    session_error::SessionError,
};

/// Time for which a message may be held. The broker's limit (`consumer_timeout`) is 30
/// minutes by default; above it RabbitMQ 4.3 returns the message out of order.
const LONGEST_HOLD: Duration = Duration::from_secs(10 * 60);
/// Interval between checks of the held messages, while some are.
const CHECKED_EVERY: Duration = Duration::from_secs(15);
/// Interval between looks for keys to park, while many events are held. Each interrupts the
/// wait for a message, by which a silent subscription is noticed.
const PARKED_EVERY: Duration = Duration::from_millis(250);

/// Reasons to give up a lane, other than a lost connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnershipEnd {
    /// The consumer stops, or serves other lanes.
    Stopped,
    /// The endpoint is no longer enabled, or paused by an operator.
    Disabled,
    /// Another consumer owns fewer lanes.
    Balanced,
    /// A message is held for so long that the broker might take it back.
    HeldLong,
    /// The broker ended the subscription.
    Cancelled,
    /// A delivery panicked, and its message is lost from memory.
    Panicked,
}

/// State of an owned lane.
pub(super) struct Owner {
    pub(super) endpoint: watch::Receiver<Arc<Deliverer>>,
    pub(super) admission: Arc<Admission>,
    lane: String,
    pub(super) events: Sequencer<Held>,
    pub(super) slots: Slots,
    /// Events that arrived before those of the former owner were known.
    pub(super) early: Vec<Arrival>,
    held: HeldKeys,
    pub(super) metrics: LaneMetrics,
    /// Origin of the sequencer's times.
    pub(super) start: Instant,
    pub(super) runner: Runner,
    ends: mpsc::UnboundedReceiver<(OrderKey, HeadEnd)>,
    running: usize,
    pub(super) balance: Arc<Balance>,
    pub(super) number: usize,
    /// From the first message on.
    pub(super) owned: Option<Owned>,
    pub(super) repeat_wait: Duration,
}

impl Owner {
    /// Creates the owner. Dropping the guard makes it give up the lane.
    pub(super) fn new(lane: &Lane, endpoint: &Deliverer) -> (Self, DropGuard) {
        let (sender, ends) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let owner = Self {
            endpoint: lane.endpoint.clone(),
            admission: Arc::clone(&endpoint.admission),
            lane: lane.queue.clone(),
            events: Sequencer::default(),
            slots: Slots::new(lane, stop.clone()),
            early: Vec::new(),
            held: HeldKeys::new(&endpoint.admission),
            metrics: endpoint.totals.lane(&endpoint.name, lane.number),
            start: Instant::now(),
            runner: Runner {
                endpoint: lane.endpoint.clone(),
                lease: Arc::clone(&lane.lease),
                deliveries: lane.deliveries.clone(),
                stop: stop.clone(),
                look_ups: Arc::clone(&lane.look_ups),
                panics: Arc::clone(&lane.panics),
                ends: sender,
            },
            ends,
            running: 0,
            balance: Arc::clone(&lane.balance),
            number: lane.number,
            owned: None,
            repeat_wait: lane.lease.wait(),
        };
        (owner, stop.drop_guard())
    }

    /// Delivers the lane's events until it must be given up. Attempts that have begun are
    /// completed first.
    pub(super) async fn own(
        mut self,
        mut subscription: LaneSubscription,
    ) -> Result<OwnershipEnd, SessionError> {
        let end = self.deliver(&mut subscription).await;
        // Heads that wait for their start must not start without the lane.
        self.runner.stop.cancel();
        let end = match end {
            // Affects this lane only.
            Err(SessionError::Connection(error @ ConnectError::NoSubscription { .. })) => {
                tracing::warn!(lane = self.lane, %error, "parking slots could not be used");
                OwnershipEnd::Cancelled
            }
            end => end?,
        };
        while self.running > 0
            && let Some((key, end)) = self.ends.recv().await
        {
            self.conclude(&key, end);
        }
        // Before the lane, so that its next owner finds them complete.
        self.slots.close().await;
        drop(self);
        subscription.close().await;
        Ok(end)
    }

    async fn deliver(
        &mut self,
        subscription: &mut LaneSubscription,
    ) -> Result<OwnershipEnd, SessionError> {
        let mut check = interval(CHECKED_EVERY);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut park = interval(PARKED_EVERY);
        park.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.start_heads();
            self.slots.send_barriers();
            self.show();
            let next_start = self.events.next_start().map(|at| self.start + at);
            tokio::select! {
                received = subscription.next() => match received {
                    Ok(received) => self.take(received).await?,
                    Err(ended) => return self.ended(ended),
                },
                event = self.slots.next() => match event {
                    SlotEvent::Received(slot, received) => match *received {
                        Ok(received) => self.take_parked(slot, received).await?,
                        Err(ended) => return self.ended(ended),
                    },
                    SlotEvent::Moved => {}
                },
                Some((key, end)) = self.ends.recv() => {
                    if self.conclude(&key, end) {
                        return Ok(OwnershipEnd::Panicked);
                    }
                    self.park_if_stuck(&key).await?;
                }
                () = until(next_start) => {}
                () = self.held.given_up() => {}
                () = self.admission.until_paused_by_operator() => return Ok(OwnershipEnd::Disabled),
                () = self.runner.stop.cancelled() => return Ok(OwnershipEnd::Stopped),
                () = released(self.owned.as_ref()) => return Ok(OwnershipEnd::Balanced),
                _ = park.tick(), if self.may_be_stuck() => self.park_stuck().await?,
                _ = check.tick() => {
                    if self.longest_hold() > LONGEST_HOLD {
                        return Ok(OwnershipEnd::HeldLong);
                    }
                }
                _ = self.endpoint.changed() => {
                    if !self.endpoint.borrow_and_update().settings.enabled {
                        return Ok(OwnershipEnd::Disabled);
                    }
                }
            }
        }
    }

    /// Returns the end of the ownership after that of a subscription.
    fn ended(&self, ended: SubscriptionEnded) -> Result<OwnershipEnd, SessionError> {
        if !ended.spares_connection() {
            return Err(ended.into());
        }
        tracing::warn!(lane = self.lane, error = %ended, "subscription ended");
        Ok(OwnershipEnd::Cancelled)
    }

    /// Returns for how long the oldest message is held.
    fn longest_hold(&self) -> Duration {
        let held = self.events.items().map(|held| held.since.elapsed());
        let in_lane = held.max().unwrap_or_default();
        in_lane
            .max(self.slots.unknown_for())
            .max(self.slots.moving_for())
    }

    fn start_heads(&mut self) {
        if self.slots.are_unknown() {
            return;
        }
        let now = self.start.elapsed();
        self.held.hasten(&mut self.events);
        while let Some((key, held)) = self.events.start(now) {
            if let Some(head) = held.head.take() {
                self.running += 1;
                self.runner.start(key, head);
            }
        }
    }

    /// Applies the end of a head's run. Returns true if the head is lost.
    fn conclude(&mut self, key: &OrderKey, end: HeadEnd) -> bool {
        self.running -= 1;
        match end {
            HeadEnd::Settled => {
                self.held.settled(key);
                if let Some(held) = self.events.finish(key) {
                    held.others.into_iter().for_each(acknowledge);
                }
                false
            }
            HeadEnd::Later(head, wait) => {
                let rule = self.current().settings.lane_rule();
                self.held.delayed(key, rule.is_held(head.event.attempt));
                if let Some(held) = self.events.running(key) {
                    held.head = Some(*head);
                    self.events.delay(key, self.start.elapsed() + wait);
                }
                false
            }
            HeadEnd::Stopped => false,
            HeadEnd::Lost => {
                if let Some(event) = self.events.head_id(key) {
                    self.runner.panics.note(event);
                }
                true
            }
        }
    }

    fn show(&self) {
        let (events, blocked) = (self.events.held(), self.events.blocked());
        let events = events + self.early.len();
        let parked = self.slots.parked();
        self.metrics
            .show(events, blocked, self.held.count(), parked);
    }

    pub(super) fn current(&self) -> Arc<Deliverer> {
        Arc::clone(&self.endpoint.borrow())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.metrics.own(false);
        self.metrics.show(0, 0, 0, 0);
        self.metrics.parked_events(0);
    }
}

fn acknowledge(receipt: Receipt) {
    tokio::spawn(async move { log_ack_failure(receipt.ack().await) });
}

async fn released(owned: Option<&Owned>) {
    match owned {
        Some(owned) => owned.released().await,
        None => std::future::pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
