//! Moves events of a lane to a parking slot: publish, confirm, then ack in the lane.

use backoff::backoff::Backoff;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use wahook_domain::{EventId, QueuedEvent};
use wahook_queue::{Outgoing, Receipt, reconnect_backoff};

use super::lease::Lease;
use crate::deliverer::{Deliverer, log_ack_failure};

/// Publishes in flight into one slot.
const BATCH: usize = 64;

/// Time for which a batch may wait for its confirm, because of an alarm for example. Then the
/// lane is given up and taken again, so that its messages are not held too long.
const LONGEST_MOVE: Duration = Duration::from_secs(5 * 60);

/// Part of a slot's content in memory. A slot is idle when there is none.
pub(super) type SlotUse = Arc<()>;

/// Message for a slot.
pub(super) enum Parcel {
    Event(Box<ParkedEvent>),
    Marker(EventId),
}

/// Event that is moved from its lane.
pub(super) struct ParkedEvent {
    pub(super) event: QueuedEvent,
    pub(super) behind: EventId,
    /// True if the event may have been attempted.
    pub(super) is_repeat: bool,
    /// Receipts of its messages in the lane.
    pub(super) receipts: Vec<Receipt>,
    /// Of the slot, until the messages in the lane are acknowledged.
    pub(super) uses: Vec<SlotUse>,
}

/// Publisher into one slot.
pub(super) struct Mover {
    pub(super) queue: String,
    pub(super) endpoint: watch::Receiver<Arc<Deliverer>>,
    pub(super) lease: Arc<Lease>,
    pub(super) stop: CancellationToken,
    pub(super) parcels: mpsc::UnboundedReceiver<Parcel>,
    /// Notified after each batch.
    pub(super) moved: Arc<Notify>,
}

impl Mover {
    /// Runs until the lane is given up. A batch whose publish has begun is completed.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        while self.parcels.recv_many(&mut batch, BATCH).await > 0 {
            let messages = batch.iter().map(|parcel| self.message(parcel)).collect();
            if !self.publish(messages).await {
                break;
            }
            for parcel in batch.drain(..) {
                if let Parcel::Event(event) = parcel {
                    for receipt in event.receipts {
                        log_ack_failure(receipt.ack().await);
                    }
                }
            }
            self.moved.notify_one();
        }
    }

    /// Publishes a batch until it is confirmed. Returns false if the lane is given up before.
    ///
    /// After a failure the whole batch is published again, so that no event is in the slot
    /// without those before it.
    async fn publish(&self, mut messages: Vec<Outgoing>) -> bool {
        let mut backoff = reconnect_backoff();
        let start = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                () = self.lease.valid() => {}
            }
            let publisher = self.endpoint.borrow().publisher.clone();
            let Err(error) = publisher.publish_in_order(messages.clone()).await else {
                return true;
            };
            let pause = backoff.next_backoff().unwrap_or(backoff.max_interval);
            tracing::warn!(%error, slot = self.queue, ?pause, "events could not be parked, retrying");
            if start.elapsed() > LONGEST_MOVE {
                self.stop.cancel();
            }
            messages = messages.into_iter().map(Outgoing::repeated).collect();
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = sleep(pause) => {}
            }
        }
    }

    fn message(&self, parcel: &Parcel) -> Outgoing {
        match parcel {
            Parcel::Event(moved) => {
                let behind = moved.behind.clone();
                Outgoing::parked(&moved.event, &self.queue, behind, moved.is_repeat)
            }
            Parcel::Marker(token) => Outgoing::marker(&self.queue, token.clone()),
        }
    }
}
