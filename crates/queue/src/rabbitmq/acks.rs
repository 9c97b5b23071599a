//! Settlement of messages at the broker.

use lapin::{
    Acker, Channel,
    options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout, timeout_at},
};

use super::ack_batcher::{AckBatcher, SettledMessage, Step};
use crate::settlement::{Settlement, Unsettled};

/// Time limit for writing an ack; after it the connection is considered dead.
pub(crate) const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// Settles one message of a subscription, once. Dropping it, as a panic
/// does, returns the message, which would otherwise stay unacked until the connection closes;
/// a message of a lane stays unacked.
#[derive(Debug)]
pub(crate) struct BatchedLease {
    tag: u64,
    /// `None` once the message is settled.
    acker: Option<Acker>,
    settlements: mpsc::UnboundedSender<SettledMessage>,
    unsettled: Unsettled,
}

impl BatchedLease {
    pub(crate) fn new(
        tag: u64,
        acker: Acker,
        settlements: mpsc::UnboundedSender<SettledMessage>,
        unsettled: Unsettled,
    ) -> Self {
        let acker = Some(acker);
        Self {
            tag,
            acker,
            settlements,
            unsettled,
        }
    }

    /// Returns true if the ack writer is still running.
    pub(crate) fn settle(mut self, settlement: Settlement) -> bool {
        self.send(settlement)
    }

    /// Leaves the message unsettled; the broker requeues it once its channel is closed.
    pub(crate) fn leave(mut self) {
        self.acker = None;
    }

    fn send(&mut self, settlement: Settlement) -> bool {
        let tag = self.tag;
        let acker = self.acker.take();
        if !self.unsettled.permits(settlement) {
            return !self.settlements.is_closed();
        }
        acker.is_some_and(|acker| {
            self.settlements
                .send(SettledMessage {
                    tag,
                    acker,
                    settlement,
                })
                .is_ok()
        })
    }
}

impl Drop for BatchedLease {
    fn drop(&mut self) {
        self.send(Settlement::Redeliver);
    }
}

/// Number of messages that were taken from a queue and not removed from it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(Arc<AtomicU32>);

impl Held {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn remove_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a lease keeps while its message is not settled.
#[derive(Debug)]
pub(crate) enum Kept {
    /// The channel, on which alone the message can be settled.
    Channel { _open: Arc<Channel> },
    /// The count of its owner, who keeps the channel open.
    Count(Held),
}

/// Settles one message that was fetched without a subscription.
#[derive(Debug)]
pub(crate) struct DirectLease {
    acker: Acker,
    kept: Kept,
}

impl DirectLease {
    pub(crate) fn new(acker: Acker, kept: Kept) -> Self {
        Self { acker, kept }
    }

    /// Writes the settlement; returns true if it was written.
    pub(crate) async fn settle(self, settlement: Settlement) -> bool {
        let acker = &self.acker;
        let removed = match settlement {
            Settlement::Ack => is_written(acker.ack(BasicAckOptions::default())).await,
            Settlement::Reject => is_written(nack(acker, false)).await,
            Settlement::Requeue => return is_written(nack(acker, true)).await,
            Settlement::Redeliver => return is_written(redeliver(acker)).await,
        };
        if removed && let Kept::Count(held) = &self.kept {
            held.remove_one();
        }
        removed
    }
}

/// Signals that end the writing of acks. Its owner drops it after the last ack, for
/// which the sender of the signal waits.
pub(crate) struct Closing {
    /// True once the connection is closing.
    connection: watch::Receiver<bool>,
    /// True once the lane is given up.
    lane: Option<watch::Receiver<bool>>,
}

impl Closing {
    pub(crate) fn of_connection(connection: watch::Receiver<bool>) -> Self {
        let lane = None;
        Self { connection, lane }
    }

    pub(crate) fn or_lane(self, lane: watch::Receiver<bool>) -> Self {
        Self {
            lane: Some(lane),
            ..self
        }
    }

    /// Waits for the first signal, or the end of its sender.
    async fn begun(&mut self) {
        let connection = self.connection.wait_for(|closing| *closing);
        let Some(lane) = &mut self.lane else {
            let _ = connection.await;
            return;
        };
        tokio::select! {
            _ = connection => {}
            _ = lane.wait_for(|given_up| *given_up) => {}
        }
    }
}

/// Writes the settlements of one subscription to the broker, until none can
/// follow or the connection or lane is `closing`.
pub(crate) async fn write_acks(
    mut settlements: mpsc::UnboundedReceiver<SettledMessage>,
    mut closing: Closing,
) {
    let mut batcher = AckBatcher::default();
    let mut batch = Vec::new();
    let mut open = true;
    while open {
        open = tokio::select! {
            open = receive(&mut settlements, &mut batch, batcher.deadline()) => open,
            () = closing.begun() => {
                settlements.close();
                while let Ok(last) = settlements.try_recv() {
                    batch.push(last);
                }
                false
            }
        };
        let now = Instant::now();
        let mut steps = Vec::new();
        for settled in batch.drain(..) {
            batcher.add(settled, now, &mut steps);
        }
        batcher.ack_below_gap(&mut steps);
        if !open || batcher.deadline().is_some_and(|end| end <= now) {
            batcher.ack_individually(&mut steps);
        }
        for step in steps {
            if !write_step(step).await {
                // The connection is closed: the broker redelivers the messages.
                return;
            }
        }
    }
}

/// Waits for more settled messages, at most until `end`; returns true if more
/// can follow.
async fn receive(
    settlements: &mut mpsc::UnboundedReceiver<SettledMessage>,
    batch: &mut Vec<SettledMessage>,
    end: Option<Instant>,
) -> bool {
    const MAX_BATCH: usize = 1024;
    let more = settlements.recv_many(batch, MAX_BATCH);
    match end {
        None => more.await > 0,
        Some(end) => timeout_at(end, more).await.map_or(true, |more| more > 0),
    }
}

async fn write_step(step: Step<Acker>) -> bool {
    match step {
        Step::Ack { acker, and_below } => {
            let multiple = and_below;
            is_written(acker.ack(BasicAckOptions { multiple })).await
        }
        Step::Nack { acker, requeue } => is_written(nack(&acker, requeue)).await,
        Step::Redeliver { acker } => is_written(redeliver(&acker)).await,
    }
}

fn nack(acker: &Acker, requeue: bool) -> impl Future<Output = lapin::Result<bool>> {
    let multiple = false;
    acker.nack(BasicNackOptions { multiple, requeue })
}

/// RabbitMQ 4.3 counts a reject towards the delivery limit, but not a nack.
fn redeliver(acker: &Acker) -> impl Future<Output = lapin::Result<bool>> {
    acker.reject(BasicRejectOptions { requeue: true })
}

async fn is_written(step: impl Future<Output = lapin::Result<bool>>) -> bool {
    matches!(timeout(WRITE_LIMIT, step).await, Ok(Ok(true)))
}
