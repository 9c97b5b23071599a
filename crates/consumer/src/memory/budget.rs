//! Memory for the events of all queues, compared with the limit of the container.

use wahook_domain::LARGEST_EVENT;
use wahook_runtime::memory_limit;

/// Memory of a consumer besides prefetched events, with the copies of two large events that are
/// written to the log.
const BASE_BYTES: u64 = 192 << 20;

/// Memory for the events of all queues: those of endpoints, and that of results.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryBudget {
    /// `CONSUMER_MEMORY_BUDGET_BYTES`
    bytes: usize,
    /// Memory limit of the container or service.
    limit: Option<u64>,
}

impl MemoryBudget {
    /// Creates a budget under the memory limit of this process.
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            limit: memory_limit(),
        }
    }

    /// Returns the share of each endpoint, and of the queue of results.
    pub(crate) fn share(self, endpoints: usize) -> usize {
        self.bytes / (endpoints + 1)
    }

    /// Logs a warning if large events can exceed the memory limit. The endpoints have this number
    /// of queues together.
    pub(crate) fn warn_above_limit(self, endpoints: usize, queues: usize) {
        if let Some((needed, limit)) = self.excess(queues) {
            tracing::warn!(
                needed,
                limit,
                endpoints,
                "a backlog of large events can exceed the memory limit: raise the limit, lower CONSUMER_MEMORY_BUDGET_BYTES, or divide the endpoints among several consumers"
            );
        }
    }

    /// Returns the bytes that the largest events can need, and the limit that is below them.
    /// An event is in memory twice while its retry is published.
    fn excess(self, queues: usize) -> Option<(u64, u64)> {
        let largest = (queues + 1).saturating_mul(LARGEST_EVENT);
        let events = self.bytes.max(largest);
        let needed = BASE_BYTES.saturating_add(2 * events as u64);
        let limit = self.limit.filter(|limit| *limit < needed)?;
        Some((needed, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn large_events_exceed_a_limit_below_twice_the_budget_and_twice_an_event_of_each_queue() {
        for (budget, queues, limit, exceeds) in [
            (256, 1, Some(768), false),
            (256, 18, Some(768), false),
            (256, 19, Some(768), true),
            (256, 1, Some(512), true),
            (128, 8, Some(512), false),
            (256, 1_000, None, false),
        ] {
            let budget = MemoryBudget {
                bytes: budget * MIB,
                limit: limit.map(|limit| limit << 20),
            };
            let excess = budget.excess(queues);
            assert_eq!(excess.is_some(), exceeds, "{budget:?} {queues}");
        }
    }

    #[test]
    fn endpoints_and_results_share_the_budget_equally() {
        let budget = MemoryBudget::new(100);
        assert_eq!(budget.share(0), 100);
        assert_eq!(budget.share(3), 25);
    }
}
