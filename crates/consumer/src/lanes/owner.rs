//! Owner of a lane: holds its events and starts the next one of each key.

use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, interval, sleep_until},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use wahook_domain::{OrderKey, Sequencer};
use wahook_failpoint::{self as failpoint, Failpoint};
use wahook_queue::{LaneSubscription, Receipt, Received};

use super::{
    balance::{Balance, Owned},
    head::{Head, HeadEnd, Runner},
    held::{Held, HeldKeys},
    parts::Lane,
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
/// Interval between checks of the time for which messages are held.
const CHECKED_EVERY: Duration = Duration::from_secs(15);

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
    endpoint: watch::Receiver<Arc<Deliverer>>,
    admission: Arc<Admission>,
    lane: String,
    events: Sequencer<Held>,
    held: HeldKeys,
    metrics: LaneMetrics,
    /// Origin of the sequencer's times.
    start: Instant,
    runner: Runner,
    ends: mpsc::UnboundedReceiver<(OrderKey, HeadEnd)>,
    running: usize,
    balance: Arc<Balance>,
    number: usize,
    /// From the first message on.
    owned: Option<Owned>,
    repeat_wait: Duration,
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
        let end = end?;
        while self.running > 0
            && let Some((key, end)) = self.ends.recv().await
        {
            self.conclude(&key, end);
        }
        drop(self);
        subscription.close().await;
        Ok(end)
    }

    async fn deliver(
        &mut self,
        subscription: &mut LaneSubscription,
    ) -> Result<OwnershipEnd, SessionError> {
        let mut check = interval(CHECKED_EVERY);
        loop {
            self.start_heads();
            self.show();
            let next_start = self.events.next_start().map(|at| self.start + at);
            tokio::select! {
                received = subscription.next() => match received {
                    Ok(received) => self.take(received).await,
                    Err(error) if error.spares_connection() => {
                        tracing::warn!(lane = self.lane, %error, "subscription ended");
                        return Ok(OwnershipEnd::Cancelled);
                    }
                    Err(error) => return Err(error.into()),
                },
                Some((key, end)) = self.ends.recv() => {
                    if self.conclude(&key, end) {
                        return Ok(OwnershipEnd::Panicked);
                    }
                }
                () = until(next_start) => {}
                () = self.held.given_up() => {}
                () = self.admission.until_paused_by_operator() => return Ok(OwnershipEnd::Disabled),
                () = self.runner.stop.cancelled() => return Ok(OwnershipEnd::Stopped),
                () = released(self.owned.as_ref()) => return Ok(OwnershipEnd::Balanced),
                _ = check.tick() => {
                    if self.events.items().any(|held| held.since.elapsed() > LONGEST_HOLD) {
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

    /// Adds a message to the events of its key, or settles it if it needs no delivery.
    async fn take(&mut self, received: Received) {
        failpoint::pass(Failpoint::Received);
        if self.owned.is_none() {
            self.owned = Some(self.balance.own(self.number));
            self.metrics.own(true);
        }
        let endpoint = self.current();
        let redelivered = received.redelivered;
        let Some((event, receipt)) = endpoint.decode(received).await else {
            return;
        };
        if self.runner.panics.are_endless(&event.id) {
            return endpoint.reject_poison(&event, receipt).await;
        }
        let key = endpoint.lane_key(&event);
        if redelivered && let Some(held) = self.events.held_event(&key, &event.id) {
            held.others.push(receipt);
            return;
        }
        // A redelivered event may have been tried, so its filter waits for the look-up.
        let receipt = if redelivered {
            receipt
        } else if let Some(receipt) = endpoint.pass_filter(&event, receipt).await {
            receipt
        } else {
            return;
        };
        let (id, start) = (event.id.clone(), self.start.elapsed() + self.repeat_wait);
        let head = Head {
            event,
            receipt,
            is_repeat: redelivered,
        };
        let held = Held {
            head: Some(head),
            others: Vec::new(),
            since: Instant::now(),
        };
        self.events.add(key, id, held, redelivered.then_some(start));
    }

    fn start_heads(&mut self) {
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
        self.metrics.show(events, blocked, self.held.count());
    }

    fn current(&self) -> Arc<Deliverer> {
        Arc::clone(&self.endpoint.borrow())
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.metrics.own(false);
        self.metrics.show(0, 0, 0);
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
