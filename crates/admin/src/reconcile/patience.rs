//! Observations of a work queue that turn an unresolved delivery into a finding. Pure.
//!
//! An unacked message is invisible until its consumer settles it, which takes no longer
//! than the grace period. A waiting message can be read only by taking it, which is
//! not done while consumers are subscribed. So a delivery is known to be in no queue
//! if its queue was empty one grace period ago, or if the queue had no consumers and
//! was read to its end.

use std::time::Duration;
use tokio::time::Instant;
use wahook_queue::Depth;

/// Observations of one work queue, with their times.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct QueueWatch {
    /// Last observed depth; `None` if the queue does not exist.
    pub(super) depth: Option<Depth>,
    /// First time at which it was empty.
    pub(super) empty_at: Option<Instant>,
    /// Last time at which it was read to its end.
    pub(super) read_at: Option<Instant>,
    /// Number of completed and attempted reads.
    pub(super) reads: u32,
}

/// Maximum number of reads: one early, which may resolve everything, and one before
/// the rest is reported as missing.
const MAX_READS: u32 = 2;

impl QueueWatch {
    /// Records an observation.
    pub(super) fn record(&mut self, depth: Option<Depth>, now: Instant) {
        self.depth = depth;
        if depth.is_none_or(|depth| depth.messages == 0) {
            self.empty_at.get_or_insert(now);
        }
    }

    /// Returns true if the queue should be read for unresolved deliveries of which the
    /// youngest has this age. A queue with consumers is never read, since that would
    /// take messages from them.
    pub(super) fn needs_read(&self, youngest: Duration, grace: Duration) -> bool {
        let unattended = self
            .depth
            .is_some_and(|depth| depth.messages > 0 && depth.consumers == 0);
        let is_time = self.reads == 0 || youngest >= grace;
        unattended && is_time && self.reads < MAX_READS
    }

    /// Returns true if a delivery unresolved since `since` has no message in this queue
    /// and none that a consumer took from it.
    pub(super) fn rules_out(&self, since: Instant, now: Instant, grace: Duration) -> bool {
        let emptied = self
            .empty_at
            .is_some_and(|empty_at| now.saturating_duration_since(empty_at.max(since)) >= grace);
        let read = self
            .read_at
            .is_some_and(|read_at| read_at.saturating_duration_since(since) >= grace);
        emptied || read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    fn depth(messages: u32, consumers: u32) -> Option<Depth> {
        Some(Depth {
            messages,
            consumers,
        })
    }

    #[test]
    fn a_queue_never_seen_empty_rules_nothing_out() {
        let start = Instant::now();
        let mut queue = QueueWatch::default();
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            queue.record(depth(1, 2), now);
            assert!(!queue.rules_out(start, now, GRACE));
            assert!(!queue.needs_read(now - start, GRACE), "it has consumers");
        }
    }

    #[test]
    fn an_emptied_queue_rules_out_only_after_the_grace_period() {
        let start = Instant::now();
        let mut queue = QueueWatch::default();
        queue.record(depth(5, 1), start);
        let emptied = start + Duration::from_secs(20);
        queue.record(depth(0, 1), emptied);
        assert!(!queue.rules_out(start, emptied + GRACE / 2, GRACE));
        assert!(queue.rules_out(start, emptied + GRACE, GRACE));
        // A later discrepancy has its own grace period.
        assert!(!queue.rules_out(emptied + GRACE / 2, emptied + GRACE, GRACE));
    }

    #[test]
    fn a_queue_without_consumers_is_read_early_and_again_at_the_end() {
        let start = Instant::now();
        let mut queue = QueueWatch::default();
        queue.record(depth(5, 0), start);
        assert!(queue.needs_read(Duration::ZERO, GRACE));
        (queue.reads, queue.read_at) = (1, Some(start));
        assert!(!queue.needs_read(GRACE / 2, GRACE));
        assert!(!queue.rules_out(start, start + GRACE * 2, GRACE));
        assert!(queue.needs_read(GRACE, GRACE));
        (queue.reads, queue.read_at) = (2, Some(start + GRACE));
        assert!(queue.rules_out(start, start + GRACE, GRACE));
        assert!(!queue.needs_read(GRACE * 2, GRACE));
    }

    #[test]
    fn a_missing_queue_holds_no_message() {
        let start = Instant::now();
        let mut queue = QueueWatch::default();
        queue.record(None, start);
        assert!(!queue.needs_read(GRACE, GRACE));
        assert!(queue.rules_out(start, start + GRACE, GRACE));
    }
}
