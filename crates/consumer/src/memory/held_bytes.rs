//! Bytes of the messages that the consumer holds from one queue.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Notify;

/// Bytes of unsettled messages, with the queue's share of the memory. Outlives connections.
#[derive(Debug)]
pub(crate) struct HeldBytes {
    bytes: AtomicUsize,
    share: AtomicUsize,
    released: Notify,
}

/// Part of the held bytes, released on drop.
#[derive(Debug)]
#[must_use = "dropping it releases the bytes"]
pub(crate) struct Hold {
    held: Arc<HeldBytes>,
    bytes: usize,
}

impl HeldBytes {
    /// Creates a count without a limit.
    pub(super) fn unlimited() -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            share: AtomicUsize::new(usize::MAX),
            released: Notify::new(),
        }
    }

    pub(super) fn set_share(&self, bytes: usize) {
        self.share.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn share(&self) -> usize {
        self.share.load(Ordering::Relaxed)
    }

    /// Holds `bytes` if they fit into the share. A single message always fits.
    pub(super) fn try_hold(self: &Arc<Self>, bytes: usize) -> Option<Hold> {
        let hold = self.hold(bytes);
        let others = self.bytes.load(Ordering::Relaxed).saturating_sub(bytes);
        (others == 0 || others.saturating_add(bytes) <= self.share()).then_some(hold)
    }

    /// Holds `bytes` in any case.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Hold {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Hold {
            held: Arc::clone(self),
            bytes,
        }
    }

    /// Waits until `bytes` more fit into the share, or until nothing is held. One task may wait.
    pub(super) async fn until_fitting(&self, bytes: usize) {
        loop {
            let held = self.bytes.load(Ordering::Relaxed);
            if held == 0 || held.saturating_add(bytes) <= self.share() {
                return;
            }
            // A release between the two stays noted.
            self.released.notified().await;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.held.released.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn held(share: usize) -> Arc<HeldBytes> {
        let held = HeldBytes::unlimited();
        held.set_share(share);
        Arc::new(held)
    }

    #[test]
    fn messages_fit_up_to_the_share_and_a_single_one_always() {
        let held = held(100);
        let large = held.try_hold(150).unwrap();
        assert!(held.try_hold(1).is_none());
        drop(large);
        let small = held.try_hold(60).unwrap();
        let _other = held.try_hold(40).unwrap();
        assert!(held.try_hold(1).is_none());
        drop(small);
        assert!(held.try_hold(60).is_some());
    }

    #[tokio::test]
    async fn a_release_ends_the_wait_for_room() {
        let held = held(100);
        let (one, two) = (held.hold(70), held.hold(70));
        let mut waiting = Box::pin(held.until_fitting(40));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(one);
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(two);
        waiting.await;
        let _all = held.hold(10);
        held.until_fitting(90).await;
        assert!(held.until_fitting(91).now_or_never().is_none());
    }
}
