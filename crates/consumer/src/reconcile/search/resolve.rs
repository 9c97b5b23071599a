//! What does not add up is looked for again and again: most of it was only on
//! its way from one place to another.

use std::{ops::RangeInclusive, time::Duration};
use tokio::time::{Instant, sleep};
use wahook_queue::topology::work_queue;

use super::{Search, Suspect, take};
use crate::reconcile::{classify::Suspicion, patience::Watched};

/// Between two looks.
const PAUSES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(2);

impl Search<'_> {
    /// Looks again for what does not add up, until it does, or as long as it
    /// must be granted. Returns what is left, and whether that can be told.
    pub(in crate::reconcile) async fn settle(&mut self) -> anyhow::Result<()> {
        let mut pause = *PAUSES.start();
        let mut settled_at = Instant::now();
        loop {
            let now = Instant::now();
            self.watch(now).await?;
            let grace = self.question.grace;
            let over = |case: &Suspect| now.saturating_duration_since(case.since) >= grace;
            let stuck = self.cases.iter().all(over) && now.duration_since(settled_at) >= grace;
            if self.cases.iter().all(|case| self.is_finding(case, now)) || stuck {
                return Ok(());
            }
            self.bar
                .set_message(format!("{} to be settled", self.cases.len()));
            sleep(pause).await;
            self.stop_when_told()?;
            let (began, before) = (Instant::now(), self.cases.len());
            self.judge_again().await?;
            if self.cases.len() < before {
                settled_at = Instant::now();
            }
            // At most half of the time is spent looking.
            pause = (pause * 2).max(began.elapsed()).min(*PAUSES.end());
        }
    }

    /// Whether what is left of a case is certain.
    pub(in crate::reconcile) fn is_finding(&self, case: &Suspect, now: Instant) -> bool {
        let grace = self.question.grace;
        let in_time = now.saturating_duration_since(case.since) >= grace;
        let mut queues = self.queues_of(case);
        // Where there is no work queue at all, it has another name than is known.
        let known = self.queues_of(case).any(|queue| queue.depth.is_some());
        in_time
            && (matches!(case.doubt, Suspicion::Short { .. })
                || known && queues.all(|queue| queue.rules_out(case.since, now, grace)))
    }

    fn queues_of(&self, case: &Suspect) -> impl Iterator<Item = &Watched> {
        let watched = self.watched.iter();
        watched.filter_map(|(endpoint, queue)| case.may_be_at(endpoint).then_some(queue))
    }

    /// Looks at the work queues in which something doubtful may wait, and reads
    /// those where that disturbs nobody.
    async fn watch(&mut self, now: Instant) -> anyhow::Result<()> {
        let grace = self.question.grace;
        for (endpoint, queue) in &mut self.watched {
            let cases = self.cases.iter().filter(|case| case.may_be_at(endpoint));
            let Some(youngest) = cases.clone().map(|case| case.since).max() else {
                continue;
            };
            queue.note(self.inspector.depth(&work_queue(endpoint)).await?, now);
            if queue.is_to_be_read(now.saturating_duration_since(youngest), grace) {
                let wanted = cases.map(|case| case.id.clone()).collect();
                let (evidence, inspector) = (&mut self.evidence, self.inspector);
                queue.reads += 1;
                if evidence.read_queue(inspector, endpoint, &wanted).await? {
                    queue.read_at = Some(now);
                }
            }
        }
        Ok(())
    }

    async fn judge_again(&mut self) -> anyhow::Result<()> {
        let cases = std::mem::take(&mut self.cases);
        let ids = cases.iter().map(|case| case.id.clone()).collect();
        // The log first: a letter and a waiting result are there before, or
        // instead of, what the log has of them.
        let mut recorded = self.look_up(&ids).await?;
        self.read_broker().await?;
        for case in cases {
            match &case.endpoint {
                Some(endpoint) => {
                    let found = take(&mut recorded, &case.id, endpoint);
                    self.consider(
                        case.id.clone(),
                        endpoint.clone(),
                        found.as_ref(),
                        Some(&case),
                    );
                }
                None => {
                    let found = recorded.remove(&case.id).unwrap_or_default();
                    self.consider_event(case.id.clone(), found, Some(&case));
                }
            }
        }
        self.count_the_waiting().await
    }
}
