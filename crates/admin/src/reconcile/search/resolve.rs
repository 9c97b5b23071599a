//! Resolution of discrepancies by repeated checks, since most are messages in transit.

use std::{ops::RangeInclusive, time::Duration};
use tokio::time::{Instant, sleep};

use super::{Search, UnresolvedDelivery, records::take_record};
use crate::reconcile::{classify::Discrepancy, patience::QueueWatch};

/// Pauses between two checks.
const PAUSES: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(2);

impl Search<'_> {
    /// Checks the unresolved deliveries again until all are accounted for or certain,
    /// or the grace period is over without progress.
    pub(in crate::reconcile) async fn resolve(&mut self) -> anyhow::Result<()> {
        let mut pause = *PAUSES.start();
        let mut progress_at = Instant::now();
        loop {
            let now = Instant::now();
            self.watch_queues(now).await?;
            let grace = self.options.grace;
            let is_late = |delivery: &UnresolvedDelivery| {
                now.saturating_duration_since(delivery.since) >= grace
            };
            let mut unresolved = self.unresolved.iter();
            let no_progress = now.duration_since(progress_at) >= grace;
            let timed_out = no_progress && unresolved.clone().all(is_late);
            if timed_out || unresolved.all(|delivery| self.is_finding(delivery, now)) {
                return Ok(());
            }
            self.bar
                .set_message(format!("{} unresolved", self.unresolved.len()));
            sleep(pause).await;
            self.check_shutdown()?;
            let (began, before) = (Instant::now(), self.unresolved.len());
            self.classify_again().await?;
            if self.unresolved.len() < before {
                progress_at = Instant::now();
            }
            // Checks take at most half of the time.
            pause = (pause * 2).max(began.elapsed()).min(*PAUSES.end());
        }
    }

    /// Returns true if the delivery is certainly not accounted for.
    pub(in crate::reconcile) fn is_finding(
        &self,
        delivery: &UnresolvedDelivery,
        now: Instant,
    ) -> bool {
        let grace = self.options.grace;
        let is_late = now.saturating_duration_since(delivery.since) >= grace;
        let mut queues = self.queues_of(delivery);
        // Without any known work queue, its message may be in a queue of unknown name.
        let known = self.queues_of(delivery).any(|queue| queue.depth.is_some());
        is_late
            && (matches!(delivery.discrepancy, Discrepancy::WaitQueueShort { .. })
                || known && queues.all(|queue| queue.rules_out(delivery.since, now, grace)))
    }

    fn queues_of(&self, delivery: &UnresolvedDelivery) -> impl Iterator<Item = &QueueWatch> {
        let watched = self.watched.iter();
        watched.filter_map(|(endpoint, queue)| delivery.may_be_at(endpoint).then_some(queue))
    }

    /// Inspects the work queues that may hold unresolved deliveries, and reads those
    /// without consumers.
    async fn watch_queues(&mut self, now: Instant) -> anyhow::Result<()> {
        let grace = self.options.grace;
        for (endpoint, queue) in &mut self.watched {
            let unresolved = self
                .unresolved
                .iter()
                .filter(|delivery| delivery.may_be_at(endpoint));
            let Some(youngest) = unresolved.clone().map(|delivery| delivery.since).max() else {
                continue;
            };
            queue.record(self.inspector.endpoint_depth(endpoint).await?, now);
            if queue.needs_read(now.saturating_duration_since(youngest), grace) {
                let wanted = unresolved.map(|delivery| delivery.id.clone()).collect();
                let (broker_state, inspector) = (&mut self.broker_state, self.inspector);
                queue.reads += 1;
                if broker_state
                    .read_queue(inspector, endpoint, &wanted)
                    .await?
                {
                    queue.read_at = Some(now);
                }
            }
        }
        Ok(())
    }

    async fn classify_again(&mut self) -> anyhow::Result<()> {
        let unresolved = std::mem::take(&mut self.unresolved);
        let ids = unresolved
            .iter()
            .map(|delivery| delivery.id.clone())
            .collect();
        // The log first: a dead letter or a waiting result exists before, or instead of,
        // its record in the log.
        let mut recorded = self.look_up(&ids).await?;
        self.read_broker().await?;
        for delivery in unresolved {
            match &delivery.endpoint {
                Some(endpoint) => {
                    let found = take_record(&mut recorded, &delivery.id, endpoint);
                    self.classify_delivery(
                        delivery.id.clone(),
                        endpoint.clone(),
                        found.as_ref(),
                        Some(&delivery),
                    );
                }
                None => {
                    let found = recorded.remove(&delivery.id).unwrap_or_default();
                    self.classify_event(delivery.id.clone(), found, Some(&delivery));
                }
            }
        }
        self.check_wait_queues().await
    }
}
