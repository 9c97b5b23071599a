//! Deliveries that wait for their next attempt, compared with the depth of the wait queues.

use wahook_domain::WaitStep;
use wahook_queue::{Depth, topology::wait_queue};
use wahook_runtime::clock;

use super::{DUE_MARGIN, Search, Waiting};
use crate::reconcile::classify::{Discrepancy, Location};

impl Search<'_> {
    /// Checks that each wait queue holds at least as many messages as deliveries waiting
    /// in it. The messages are not read: holding one beyond its time would delay its
    /// retry. Without the wait queue the endpoint is paused, and its events wait in the
    /// work queue, whenever they are due.
    pub(super) async fn check_wait_queues(&mut self) -> anyhow::Result<()> {
        for (wait, waiting) in std::mem::take(&mut self.waiting) {
            let depth = self.wait_depth(wait).await?;
            let messages = depth.map_or(0, |depth| depth.messages as usize);
            let soon = clock::now().plus(DUE_MARGIN);
            let is_expected = |delivery: &&Waiting| delivery.due > soon;
            let is_short = waiting.iter().filter(is_expected).count() > messages;
            for delivery in waiting {
                let Waiting {
                    id,
                    endpoint,
                    due,
                    since,
                } = delivery;
                let overdue = Discrepancy::RetryOverdue { due };
                match (depth, wait) {
                    (Some(_), Some(_)) if due <= soon => {
                        self.add_unresolved(id, Some(endpoint), overdue, None);
                    }
                    (Some(_), Some(wait)) if is_short => {
                        let short = Discrepancy::WaitQueueShort { wait };
                        self.add_unresolved(id, Some(endpoint), short, since);
                    }
                    (Some(_), Some(_)) => self.tally.add(&endpoint, Location::Retrying, false),
                    _ => self.add_unresolved(id, Some(endpoint), overdue, since),
                }
            }
        }
        Ok(())
    }

    /// Returns the depth of a wait queue, if the wait has one.
    async fn wait_depth(&mut self, wait: Option<WaitStep>) -> anyhow::Result<Option<Depth>> {
        let Some(wait) = wait else { return Ok(None) };
        self.tally.wait_queues.insert(wait);
        Ok(self.inspector.depth(&wait_queue(wait)).await?)
    }
}
