//! Conclusion of an attempt: decide, publish what follows, record, and acknowledge last.

use std::{sync::Arc, time::Duration};
use wahook_domain::{
    Attempt, AttemptResult, Decision, HealthSignal, Outcome, QueuedEvent, UnixMillis,
};
use wahook_failpoint::{self as failpoint, Failpoint};
use wahook_queue::{Outgoing, Receipt};

use crate::{
    batching::PendingResult,
    deliverer::{AttemptKind, Deliverer, log_ack_failure},
};

/// Attempt that was just made.
pub(crate) struct Attempted {
    pub(crate) started_at: UnixMillis,
    pub(crate) took: Duration,
    pub(crate) outcome: Outcome,
    /// Marks the result as pending for the recorder.
    pub(crate) expected: PendingResult,
}

/// Assessment of an attempt.
struct Assessment {
    decision: Decision,
    /// True if the attempt counts against its event.
    counts: bool,
    error: Option<String>,
    ended_at: UnixMillis,
}

impl Deliverer {
    /// Makes the consequences of an attempt durable, then acknowledges its message.
    pub(crate) async fn conclude(
        &self,
        event: &QueuedEvent,
        attempted: Attempted,
        receipt: Receipt,
        kind: AttemptKind,
    ) {
        let assessment = self.assess(event, &attempted, kind);
        let next_attempt_at = self.publish_follow_up(event, &assessment).await;
        if assessment.counts {
            self.log_outcome(event, &attempted, &assessment);
        }
        let Assessment {
            decision,
            counts,
            error,
            ended_at,
        } = assessment;
        let result = self.result(event, &attempted, error, next_attempt_at);
        self.record_and_ack(result, attempted.expected, receipt)
            .await;
        if decision == Decision::Delivered {
            self.metrics.delivered(ended_at.since(event.queued_at()));
        } else if decision == Decision::Exhausted && counts {
            self.metrics.dead_lettered();
        }
    }

    fn assess(&self, event: &QueuedEvent, attempted: &Attempted, kind: AttemptKind) -> Assessment {
        let outcome = &attempted.outcome;
        let error = outcome.error_message();
        let signal = HealthSignal::of(outcome);
        let counts = self
            .admission
            .record(signal, attempted.took, error.as_deref());
        if kind == AttemptKind::Probe {
            if signal == HealthSignal::Success {
                self.metrics.probes.delivered.inc();
            } else {
                self.metrics.probes.failed.inc();
                self.admission.probe_failed(signal, error.as_deref());
            }
        }
        Assessment {
            decision: self.settings.retry_rule.decide(event.attempt, outcome),
            counts,
            error,
            ended_at: attempted.started_at.plus(attempted.took),
        }
    }

    /// Publishes the retry or dead letter and waits for the confirm. Returns the time of
    /// the next attempt, if there is one.
    async fn publish_follow_up(
        &self,
        event: &QueuedEvent,
        assessment: &Assessment,
    ) -> Option<UnixMillis> {
        let ended_at = assessment.ended_at;
        match assessment.decision {
            Decision::Delivered => None,
            Decision::RetryAfter(_) | Decision::Exhausted if !assessment.counts => {
                let next_attempt_at = ended_at.plus(self.admission.until_next());
                self.put_back(&in_new_round(event, ended_at)).await;
                Some(next_attempt_at)
            }
            Decision::RetryAfter(step) => {
                let retry = Outgoing::retry(event, &self.name, step);
                self.publisher.publish_until_confirmed(&retry).await;
                failpoint::pass(Failpoint::RetryConfirmed);
                self.metrics.retry_scheduled(step);
                Some(ended_at.plus(step.duration()))
            }
            Decision::Exhausted => {
                let reason = assessment.error.as_deref().unwrap_or_default();
                let dead_letter = Outgoing::dead_letter(event, &self.name, reason, ended_at);
                self.publisher.publish_until_confirmed(&dead_letter).await;
                None
            }
        }
    }

    fn result(
        &self,
        event: &QueuedEvent,
        attempted: &Attempted,
        error: Option<String>,
        next_attempt_at: Option<UnixMillis>,
    ) -> AttemptResult {
        AttemptResult {
            event_id: event.id.clone(),
            endpoint: self.name.clone(),
            event: event.name.clone(),
            body: event.body.clone(),
            accepted_at: event.accepted_at,
            origin: event.origin.clone(),
            attempt: Attempt {
                queued_at: event.queued_at(),
                number: event.attempt,
                started_at: attempted.started_at,
                duration_ms: attempted.took.as_millis().try_into().unwrap_or(i64::MAX),
                status_code: attempted.outcome.status_code(),
                error,
                next_attempt_at,
                webhook_url: Arc::clone(&self.settings.shown_url),
            },
        }
    }

    /// Acknowledges the message once the result is durable.
    async fn record_and_ack(
        &self,
        result: AttemptResult,
        expected: PendingResult,
        receipt: Receipt,
    ) {
        self.recorder.record(result, expected).await;
        failpoint::pass(Failpoint::Recorded);
        log_ack_failure(receipt.ack().await);
    }

    fn log_outcome(&self, event: &QueuedEvent, attempted: &Attempted, assessment: &Assessment) {
        let (id, name, attempt) = (&event.id, event.name.as_str(), event.attempt.get());
        let (endpoint, ms) = (&self.name, attempted.took.as_millis());
        let error = assessment.error.as_deref().unwrap_or_default();
        match assessment.decision {
            Decision::Delivered => {
                tracing::debug!(%endpoint, %id, event = name, attempt, ms, "delivered");
            }
            Decision::RetryAfter(step) => {
                let retry_in = step.duration();
                tracing::info!(%endpoint, %id, event = name, attempt, ms, error, ?retry_in, "attempt failed");
            }
            Decision::Exhausted => {
                tracing::warn!(%endpoint, %id, event = name, attempt, ms, error, "retries exhausted, event dead-lettered");
            }
        }
    }
}

/// Returns the event for the same attempt in a new round, distinct from the attempt
/// that was just made.
fn in_new_round(event: &QueuedEvent, now: UnixMillis) -> QueuedEvent {
    // Clocks of several machines may differ, but rounds must stay in order.
    let after = event.queued_at().plus(Duration::from_millis(1));
    QueuedEvent {
        redriven_at: Some(now.max(after)),
        ..event.clone()
    }
}
