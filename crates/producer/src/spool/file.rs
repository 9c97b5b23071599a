//! Spool: its file, and the amounts of events in it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot, watch},
    time::timeout,
};
use wahook_domain::{LinkState, QueuedEvent};
use wahook_queue::{
    Outgoing, PublishError, Received, Stored,
    local::{self, Command, SharedQueue},
    topology::SPOOL_QUEUE,
};
use wahook_runtime::clock;

use super::{
    amounts::{self, Amounts, Ended, Full, Reserved},
    metrics::SpoolMetrics,
};
use crate::router::RouteOutcome;

/// Time limit for the sync of an event; after it the answer is 503.
const STORE_LIMIT: Duration = Duration::from_secs(5);
/// Limit of events that are taken from the file together, in number and in bytes of their
/// bodies. They stay in memory until they are forwarded.
pub(super) const BATCH_EVENTS: usize = 256;
const BATCH_BYTES: usize = 4 << 20;
/// Interval between attempts to read from the file.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Events that wait for the broker, in a file.
pub(crate) struct Spool {
    queue: SharedQueue,
    /// State of the file.
    pub(super) link: watch::Receiver<LinkState>,
    amounts: Mutex<Amounts>,
    /// Signals the forwarder that an event was stored.
    stored: Notify,
    pub(super) metrics: SpoolMetrics,
}

/// Reason for which an event is not in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotStored {
    /// No room for the event.
    Full,
    /// The file can't be written, or not in time.
    Unusable,
}

impl Spool {
    pub(super) fn new(queue: SharedQueue, amounts: Amounts, metrics: SpoolMetrics) -> Self {
        let spool = Self {
            link: queue.link(),
            queue,
            amounts: Mutex::new(amounts),
            stored: Notify::new(),
            metrics,
        };
        spool.show(&spool.amounts());
        spool
    }

    /// Returns true if new events must wait behind those in the spool.
    pub(crate) fn holds_back(&self) -> bool {
        self.amounts().holds_back()
    }

    /// Stores an event behind all earlier ones, and waits until it is synced. `cause` is the
    /// reason for which the broker does not have it.
    pub(crate) async fn store(
        self: &Arc<Self>,
        event: &QueuedEvent,
        cause: PublishError,
    ) -> Result<(), NotStored> {
        if self.fault().is_some() {
            return Err(NotStored::Unusable);
        }
        let size = amounts::size_of_event(event);
        self.reserve(size, event, cause)?;
        let message = Stored::from(Outgoing::event(event)).to_queue(SPOOL_QUEUE);
        // Before the first wait, so that the order is that of the calls.
        let (done, confirmed) = oneshot::channel();
        self.queue.submit(Command::Publish(Box::new(message), done));
        // In a task, which counts the event also if its client disconnects.
        let spool = Arc::clone(self);
        let counted = tokio::spawn(async move {
            let stored = confirmed.await.unwrap_or(Err(PublishError::Disconnected));
            spool.stored_or_not(size, stored.is_ok());
            stored
        });
        match timeout(STORE_LIMIT, counted).await {
            Ok(Ok(Ok(()))) => Ok(()),
            _ => Err(NotStored::Unusable),
        }
    }

    fn reserve(
        &self,
        size: u64,
        event: &QueuedEvent,
        cause: PublishError,
    ) -> Result<(), NotStored> {
        let reserved = {
            let mut amounts = self.amounts();
            let reserved = amounts.reserve(size, event.accepted_at, clock::now());
            self.show(&amounts);
            reserved
        };
        match reserved {
            Ok(Reserved::First) => {
                tracing::warn!(reason = %cause, "broker takes no events, storing them in the spool");
            }
            Ok(Reserved::RoomAgain) => tracing::info!("spool has room again, accepting events"),
            Ok(Reserved::Next) => {}
            Err(Full { is_new, bytes }) => {
                if is_new {
                    tracing::error!(
                        bytes,
                        "spool full, rejecting events until the broker takes some; \
                         PRODUCER_SPOOL_MAX_BYTES is the limit"
                    );
                }
                return Err(NotStored::Full);
            }
        }
        Ok(())
    }

    /// Counts the end of a write.
    fn stored_or_not(&self, size: u64, is_stored: bool) {
        self.amounts().written();
        if is_stored {
            self.metrics.stored.inc();
        } else {
            self.removed(size);
        }
        // Also after a failure: it may have been the last event.
        self.stored.notify_one();
    }

    /// Waits for events in the file, and takes the first ones. Each stays in the file until its
    /// receipt is acked.
    pub(super) async fn take(&self) -> Vec<Received> {
        loop {
            if self.amounts().is_empty() {
                self.stored.notified().await;
                continue;
            }
            let taken =
                local::take_batch(&self.queue, SPOOL_QUEUE, BATCH_EVENTS, BATCH_BYTES).await;
            // Without a fault, the events are still being written.
            let is_unreadable = taken.is_empty() && self.fault().is_some();
            if self.amounts().set_unreadable(is_unreadable) {
                tracing::error!(
                    "events in the spool can't be read, new ones go to the broker directly"
                );
            }
            if !taken.is_empty() {
                return taken.into_iter().map(Received::from).collect();
            }
            // Ends early once an event is stored.
            let _ = timeout(READ_AGAIN, self.stored.notified()).await;
        }
    }

    /// Records the first event of the spool.
    pub(super) fn set_oldest(&self, event: &QueuedEvent) {
        self.amounts().set_oldest(event.accepted_at);
    }

    /// Counts an event that left the spool for the broker.
    pub(super) fn forwarded(&self, event: &QueuedEvent, outcome: RouteOutcome) {
        match outcome {
            RouteOutcome::Unwanted => self.metrics.unwanted.inc(),
            RouteOutcome::Queued | RouteOutcome::Spooled => self.metrics.forwarded.inc(),
        }
        self.removed(amounts::size_of_event(event));
    }

    /// Counts an event that left the spool.
    pub(super) fn removed(&self, size: u64) {
        let ended = {
            let mut amounts = self.amounts();
            let ended = amounts.remove(size, clock::now());
            self.show(&amounts);
            ended
        };
        if let Some(Ended { events, after }) = ended {
            tracing::info!(
                events,
                seconds = after.as_secs(),
                "spool empty, events go to the broker directly"
            );
        }
    }

    /// Returns the reason for which the file can't be used, if there is one.
    pub(super) fn fault(&self) -> Option<String> {
        let link = self.link.borrow();
        match (&link.blocked, link.up) {
            (Some(reason), _) => Some(reason.clone()),
            (None, true) => None,
            (None, false) => link
                .last_error
                .clone()
                .or_else(|| Some("closed".to_owned())),
        }
    }

    fn show(&self, amounts: &Amounts) {
        self.metrics.events.set(to_gauge(amounts.events()));
        self.metrics.bytes.set(to_gauge(amounts.bytes()));
    }

    /// Ignores poisoning: the amounts are consistent after each step.
    pub(super) fn amounts(&self) -> MutexGuard<'_, Amounts> {
        self.amounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn to_gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
