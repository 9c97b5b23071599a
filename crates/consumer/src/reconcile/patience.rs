//! When a doubt that has not settled is a finding. Pure.
//!
//! A message that was handed to a consumer is seen by nobody until the consumer
//! has dealt with it, and that takes no longer than the grace. A message that
//! waits in a queue is seen only by taking it, which nobody does where consumers
//! are at work. So a delivery is known to be in no queue when its queue was seen
//! empty a grace ago, or when the queue, without consumers, was read whole.

use std::time::Duration;
use tokio::time::Instant;
use wahook_queue::Depth;

/// What was seen of a work queue, and when.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Watched {
    /// As last seen; none where there is no such queue.
    pub(super) depth: Option<Depth>,
    /// The first time that nothing waited in it.
    pub(super) empty_at: Option<Instant>,
    /// The last time that it was read to its end.
    pub(super) read_at: Option<Instant>,
    /// How often that was done or tried.
    pub(super) reads: u32,
}

/// Twice at the most: early, when it may settle everything, and before what is
/// left is called missing.
const MOST_READS: u32 = 2;

impl Watched {
    /// Notes what is seen now.
    pub(super) fn note(&mut self, depth: Option<Depth>, now: Instant) {
        self.depth = depth;
        if depth.is_none_or(|depth| depth.messages == 0) {
            self.empty_at.get_or_insert(now);
        }
    }

    /// Whether to read it for doubts of which the youngest is this old. Consumers
    /// must not be deprived of what they could work on.
    pub(super) fn is_to_be_read(&self, youngest: Duration, grace: Duration) -> bool {
        let unattended = self
            .depth
            .is_some_and(|depth| depth.messages > 0 && depth.consumers == 0);
        let is_time = self.reads == 0 || youngest >= grace;
        unattended && is_time && self.reads < MOST_READS
    }

    /// Whether a doubt that arose at `since` can't be about a message in this
    /// queue, nor about one that a consumer took from it.
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
    fn a_queue_that_was_never_seen_empty_rules_nothing_out() {
        let start = Instant::now();
        let mut queue = Watched::default();
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            queue.note(depth(1, 2), now);
            assert!(!queue.rules_out(start, now, GRACE));
            assert!(
                !queue.is_to_be_read(now - start, GRACE),
                "others work on it"
            );
        }
    }

    #[test]
    fn what_a_consumer_may_still_hold_is_waited_for() {
        let start = Instant::now();
        let mut queue = Watched::default();
        queue.note(depth(5, 1), start);
        let emptied = start + Duration::from_secs(20);
        queue.note(depth(0, 1), emptied);
        assert!(!queue.rules_out(start, emptied + GRACE / 2, GRACE));
        assert!(queue.rules_out(start, emptied + GRACE, GRACE));
        // A doubt that arose later has its own time.
        assert!(!queue.rules_out(emptied + GRACE / 2, emptied + GRACE, GRACE));
    }

    #[test]
    fn a_queue_without_consumers_is_read_early_and_once_more_at_the_end() {
        let start = Instant::now();
        let mut queue = Watched::default();
        queue.note(depth(5, 0), start);
        assert!(queue.is_to_be_read(Duration::ZERO, GRACE));
        (queue.reads, queue.read_at) = (1, Some(start));
        assert!(!queue.is_to_be_read(GRACE / 2, GRACE));
        assert!(!queue.rules_out(start, start + GRACE * 2, GRACE));
        assert!(queue.is_to_be_read(GRACE, GRACE));
        (queue.reads, queue.read_at) = (2, Some(start + GRACE));
        assert!(queue.rules_out(start, start + GRACE, GRACE));
        assert!(!queue.is_to_be_read(GRACE * 2, GRACE));
    }

    #[test]
    fn a_queue_that_is_not_there_holds_nothing() {
        let start = Instant::now();
        let mut queue = Watched::default();
        queue.note(None, start);
        assert!(!queue.is_to_be_read(GRACE, GRACE));
        assert!(queue.rules_out(start, start + GRACE, GRACE));
    }
}
