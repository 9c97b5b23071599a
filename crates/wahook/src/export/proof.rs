//! The broker's own figures, before and after.
//!
//! A queue with no consumer must hold what it held before and all that was sent to it. Of
//! others the figures prove nothing, since somebody takes from them: there the confirms stand
//! alone. So they do for wait queues, which empty themselves.

use std::{collections::BTreeMap, fmt};
use wahook_queue::Depth;

use super::target::Target;

/// What is known of each queue so far.
pub(super) struct Proof(BTreeMap<String, Known>);

struct Known {
    before: Depth,
    sent: u64,
}

/// What the figures say in the end, of the queues to which something was sent.
pub(super) struct Proven(Vec<(String, Figures)>);

#[derive(Debug, Clone, Copy)]
struct Figures {
    before: Depth,
    sent: u64,
    after: Depth,
}

impl Proof {
    pub(super) async fn begin(target: &Target) -> anyhow::Result<Self> {
        let mut known = BTreeMap::new();
        let inspector = target.inspect().await?;
        for queue in &target.queues {
            let before = inspector.depth(queue).await?.unwrap_or_default();
            known.insert(queue.clone(), Known { before, sent: 0 });
        }
        inspector.close().await;
        Ok(Self(known))
    }

    /// The broker has confirmed a message for this queue.
    pub(super) fn sent(&mut self, queue: &str) {
        if let Some(known) = self.0.get_mut(queue) {
            known.sent += 1;
        }
    }

    pub(super) async fn end(self, target: &Target) -> anyhow::Result<Proven> {
        let mut proven = Vec::new();
        let inspector = target.inspect().await?;
        for (queue, Known { before, sent }) in self.0 {
            if sent > 0 {
                let after = inspector.depth(&queue).await?.unwrap_or_default();
                let figures = Figures {
                    before,
                    sent,
                    after,
                };
                proven.push((queue, figures));
            }
        }
        inspector.close().await;
        Ok(Proven(proven))
    }
}

impl Proven {
    pub(super) fn holds(&self) -> bool {
        let mut all = self.0.iter();
        all.all(|(_, figures)| !figures.is_exact() || figures.is_enough())
    }
}

impl Figures {
    /// Whether nobody takes from the queue.
    fn is_exact(self) -> bool {
        self.before.consumers == 0 && self.after.consumers == 0
    }

    /// What was on its way there at the same time may have come on top.
    fn is_enough(self) -> bool {
        u64::from(self.after.messages) >= u64::from(self.before.messages) + self.sent
    }
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by the broker's own figures:")?;
        if self.0.is_empty() {
            write!(f, " nothing was sent to a queue")?;
        }
        for (queue, figures) in &self.0 {
            let (before, after) = (figures.before.messages, figures.after.messages);
            let sent = figures.sent;
            let verdict = match (figures.is_exact(), figures.is_enough()) {
                (true, true) => "as it must be",
                (true, false) => "TOO FEW",
                (false, _) => "consumers are at work: the confirms alone count",
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

    fn of(before: (u32, u32), sent: u64, after: (u32, u32)) -> Proven {
        let depth = |(messages, consumers)| Depth {
            messages,
            consumers,
        };
        let figures = Figures {
            before: depth(before),
            sent,
            after: depth(after),
        };
        Proven(vec![("wahook.dead".to_owned(), figures)])
    }

    #[test]
    fn a_queue_that_nobody_takes_from_must_hold_what_was_sent_to_it() {
        assert!(of((2, 0), 5, (7, 0)).holds());
        assert!(of((2, 0), 5, (8, 0)).holds(), "a retry that became due");
        let short = of((2, 0), 5, (6, 0));
        assert!(!short.holds());
        assert!(short.to_string().contains("TOO FEW"), "{short}");
        let busy = of((2, 0), 5, (0, 1));
        assert!(busy.holds());
        assert!(busy.to_string().contains("confirms alone"), "{busy}");
    }
}
