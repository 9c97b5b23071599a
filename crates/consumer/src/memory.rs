//! Memory of the messages of one queue: its share in bytes, and the prefetch that fits into it.

mod budget;
mod held_bytes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wahook_domain::{RecentSize, SizeLimit};

pub(crate) use budget::MemoryBudget;
use held_bytes::{HeldBytes, Hold};

/// Limits of the number of unacked messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefetch {
    /// By the rate at which messages are processed.
    pub(crate) by_rate: u16,
    /// By the sizes of messages; `None` until one did not fit.
    pub(crate) by_size: Option<u16>,
}

impl Prefetch {
    /// Returns the maximum number of unacked messages.
    pub(crate) fn messages(self) -> u16 {
        let by_size = self.by_size.unwrap_or(u16::MAX);
        by_size.min(self.by_rate)
    }
}

/// Share of one queue. Outlives its subscriptions.
#[derive(Debug)]
pub(crate) struct MemoryShare {
    queue: String,
    held: Arc<HeldBytes>,
    limit: Mutex<SizeLimit>,
}

impl MemoryShare {
    /// Creates a share without a limit.
    pub(crate) fn of(queue: String) -> Self {
        Self {
            queue,
            held: Arc::new(HeldBytes::unlimited()),
            limit: Mutex::default(),
        }
    }

    /// Sets the bytes of messages that may be held.
    pub(crate) fn set_bytes(&self, bytes: usize) {
        self.held.set_share(bytes);
    }

    /// Returns the limits of the number of unacked messages.
    pub(crate) fn prefetch(&self, by_rate: u16) -> Prefetch {
        Prefetch {
            by_rate,
            by_size: self.limit().messages(),
        }
    }

    /// Holds the bytes of a message if they fit. A single message always fits.
    pub(crate) fn try_hold(&self, bytes: usize) -> Option<Hold> {
        self.held.try_hold(bytes)
    }

    /// Holds the bytes of a message in any case.
    pub(crate) fn hold(&self, bytes: usize) -> Hold {
        self.held.hold(bytes)
    }

    /// Lowers the prefetch of a subscription with a message that did not fit.
    pub(crate) fn lower(&self, recent: RecentSize, prefetch: Prefetch) {
        let share = self.held.share();
        let mut limit = self.limit();
        let was_unlimited = limit.messages().is_none();
        limit.lower(recent, share, prefetch.messages());
        let messages = limit.messages();
        drop(limit);
        if was_unlimited {
            let queue = &self.queue;
            tracing::info!(
                queue,
                prefetch = messages,
                share,
                "large events: prefetch lowered until smaller ones follow"
            );
        }
    }

    /// Records the size of a message of a subscription with a limit by size, which rises with
    /// small messages.
    pub(crate) fn record_size(&self, bytes: usize, prefetch: Prefetch) {
        let share = self.held.share();
        self.limit().record(bytes, share, prefetch.by_rate);
    }

    /// Waits until the messages of the next subscription fit next to those in flight.
    pub(crate) async fn until_fitting(&self) {
        let bytes = self.limit().bytes();
        self.held.until_fitting(bytes).await;
    }

    fn limit(&self) -> MutexGuard<'_, SizeLimit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
