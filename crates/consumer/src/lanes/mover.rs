//! Moves events of a lane to a parking slot: publish, confirm, then ack in the lane.

use backoff::backoff::Backoff;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use wahook_domain::{EventId, QueuedEvent};
use wahook_queue::{Outgoing, PublishError, Receipt, reconnect_backoff};

use super::lease::Lease;
use crate::deliverer::{Deliverer, log_ack_failure};

/// Publishes in flight into one slot.
const BATCH: usize = 64;
/// Bytes of a batch, if it has more than one message: they must be confirmed in time.
const BATCH_BYTES: usize = 4 << 20;

/// Time for which a batch may wait for its confirm, unless an alarm of the broker blocks it. Then
/// the lane is given up and taken again, so that its messages are not held too long.
const LONGEST_MOVE: Duration = Duration::from_secs(5 * 60);

/// Returns the number of parcels of the next batch.
fn batch_of(parcels: &[Parcel]) -> usize {
    let mut bytes = 0;
    let more = parcels.iter().take_while(|parcel| {
        let is_first = bytes == 0;
        bytes += parcel.bytes();
        is_first || bytes <= BATCH_BYTES
    });
    more.count()
}

/// Part of a slot's content in memory. A slot is idle when there is none.
pub(super) type SlotUse = Arc<()>;

/// Message for a slot.
pub(super) enum Parcel {
    Event(Box<ParkedEvent>),
    Marker(EventId),
}

impl Parcel {
    /// Returns an estimate of its size, at least 1.
    fn bytes(&self) -> usize {
        match self {
            Self::Event(moved) => moved.event.carried_body().len() + 1,
            Self::Marker(_) => 1,
        }
    }

    /// Returns the time since which messages in the lane are held for it.
    fn held_since(&self) -> Option<Instant> {
        match self {
            Self::Event(moved) => Some(moved.since),
            Self::Marker(_) => None,
        }
    }
}

/// Event that is moved from its lane.
pub(super) struct ParkedEvent {
    pub(super) event: QueuedEvent,
    pub(super) behind: EventId,
    /// True if the event may have been attempted.
    pub(super) is_repeat: bool,
    /// Receipts of its messages in the lane.
    pub(super) receipts: Vec<Receipt>,
    /// Time since which these messages are held.
    pub(super) since: Instant,
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
    /// Time since which the oldest message in the lane is held for events that are moved.
    pub(super) held_since: watch::Sender<Option<Instant>>,
    /// Notified after each batch.
    pub(super) moved: Arc<Notify>,
}

impl Mover {
    /// Runs until the lane is given up. A batch whose publish has begun is completed.
    pub(super) async fn run(mut self) {
        let mut received = Vec::with_capacity(BATCH);
        while !received.is_empty() || self.parcels.recv_many(&mut received, BATCH).await > 0 {
            self.note_oldest(&received);
            let batch = received.iter().take(batch_of(&received));
            let messages: Vec<_> = batch.map(|parcel| self.message(parcel)).collect();
            let count = messages.len();
            if !self.publish(messages).await {
                break;
            }
            for parcel in received.drain(..count) {
                if let Parcel::Event(event) = parcel {
                    for receipt in event.receipts {
                        log_ack_failure(receipt.ack().await);
                    }
                }
            }
            self.note_oldest(&received);
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
            // Under an alarm the next owner could not publish either.
            if start.elapsed() > LONGEST_MOVE && error != PublishError::Blocked {
                self.stop.cancel();
            }
            messages = messages.into_iter().map(Outgoing::repeated).collect();
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = sleep(pause) => {}
            }
        }
    }

    fn note_oldest(&self, parcels: &[Parcel]) {
        let oldest = parcels.iter().filter_map(Parcel::held_since).min();
        self.held_since.send_replace(oldest);
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
