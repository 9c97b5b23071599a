//! Reconciles the broker's message counts before and after an export.
//!
//! A queue without consumers must hold its previous messages and all exported ones. Queues
//! with consumers, and wait queues, which empty themselves, can't be checked: there the
//! publisher confirms are the only evidence.

use std::{collections::BTreeMap, fmt};
use wahook_queue::Depth;

use super::target::Target;

/// Counts of the queues before and during an export.
pub(super) struct Reconciliation(BTreeMap<String, Baseline>);

struct Baseline {
    before: Depth,
    sent: u64,
}

/// Final counts of the queues that received messages.
pub(super) struct Report(Vec<(String, QueueCounts)>);

#[derive(Debug, Clone, Copy)]
struct QueueCounts {
    before: Depth,
    sent: u64,
    after: Depth,
}

impl Reconciliation {
    pub(super) async fn begin(target: &Target) -> anyhow::Result<Self> {
        let mut baselines = BTreeMap::new();
        let inspector = target.inspect().await?;
        for queue in &target.queues {
            let before = inspector.depth(queue).await?.unwrap_or_default();
            baselines.insert(queue.clone(), Baseline { before, sent: 0 });
        }
        inspector.close().await;
        Ok(Self(baselines))
    }

    /// Counts a message that the broker has confirmed.
    pub(super) fn record_sent(&mut self, queue: &str) {
        if let Some(baseline) = self.0.get_mut(queue) {
            baseline.sent += 1;
        }
    }

    pub(super) async fn finish(self, target: &Target) -> anyhow::Result<Report> {
        let mut queues = Vec::new();
        let inspector = target.inspect().await?;
        for (queue, Baseline { before, sent }) in self.0 {
            if sent > 0 {
                let after = inspector.depth(&queue).await?.unwrap_or_default();
                let counts = QueueCounts {
                    before,
                    sent,
                    after,
                };
                queues.push((queue, counts));
            }
        }
        inspector.close().await;
        Ok(Report(queues))
    }
}

impl Report {
    pub(super) fn is_consistent(&self) -> bool {
        let mut all = self.0.iter();
        all.all(|(_, counts)| !counts.is_checkable() || counts.is_complete())
    }
}

impl QueueCounts {
    /// Returns true if the queue has no consumers.
    fn is_checkable(self) -> bool {
        self.before.consumers == 0 && self.after.consumers == 0
    }

    /// Returns true if no message is missing. Other messages may have arrived meanwhile.
    fn is_complete(self) -> bool {
        u64::from(self.after.messages) >= u64::from(self.before.messages) + self.sent
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broker counts:")?;
        if self.0.is_empty() {
            write!(f, " no messages sent to queues")?;
        }
        for (queue, counts) in &self.0 {
            let (before, after) = (counts.before.messages, counts.after.messages);
            let sent = counts.sent;
            let verdict = match (counts.is_checkable(), counts.is_complete()) {
                (true, true) => "ok",
                (true, false) => "TOO FEW",
                (false, _) => "not checked, the queue has consumers; confirmed only",
            };
            write!(
                f,
                "\n  {queue}: {before} before, {sent} sent, {after} now: {verdict}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(before: (u32, u32), sent: u64, after: (u32, u32)) -> Report {
        let depth = |(messages, consumers)| Depth {
            messages,
            consumers,
        };
        let counts = QueueCounts {
            before: depth(before),
            sent,
            after: depth(after),
        };
        Report(vec![("wahook.dead".to_owned(), counts)])
    }

    #[test]
    fn queue_without_consumers_must_hold_all_sent_messages() {
        assert!(report((2, 0), 5, (7, 0)).is_consistent());
        assert!(
            report((2, 0), 5, (8, 0)).is_consistent(),
            "a retry that became due"
        );
        let short = report((2, 0), 5, (6, 0));
        assert!(!short.is_consistent());
        assert!(short.to_string().contains("TOO FEW"), "{short}");
        let busy = report((2, 0), 5, (0, 1));
        assert!(busy.is_consistent());
        assert!(busy.to_string().contains("not checked"), "{busy}");
    }
}
