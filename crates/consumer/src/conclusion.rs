//! Conclusion of an attempt: decide, publish what follows, record, and acknowledge last.

use std::{sync::Arc, time::Duration};
use wahook_domain::{
    Attempt, AttemptResult, Decision, HealthSignal, Outcome, QueuedEvent, RetryRule, UnixMillis,
};
use wahook_failpoint::{self as failpoint, Failpoint};
use wahook_queue::{Outgoing, Receipt};
use wahook_traces::Processing;

use crate::{
    batching::PendingResult,
    deliverer::{AttemptKind, Deliverer, log_ack_failure},
    spread::spread_of,
    traced::what_follows,
    unfinished::Begun,
};

/// Attempt that was just made.
pub(crate) struct Attempted {
    pub(crate) started_at: UnixMillis,
    pub(crate) took: Duration,
    pub(crate) outcome: Outcome,
    /// Start of the response's body after a failure.
    pub(crate) response: Option<Arc<str>>,
    /// Marks the result as pending for the recorder.
    pub(crate) expected: PendingResult,
    /// Spans of the attempt, if traces are on.
    pub(crate) spans: Option<Box<Processing>>,
}

struct Assessment {
    decision: Decision,
    signal: HealthSignal,
    /// True if the attempt counts against its event.
    counts: bool,
    /// True if the event is held from now on, in a lane.
    begins_hold: bool,
    error: Option<String>,
    started_at: UnixMillis,
    ended_at: UnixMillis,
}

/// End of a delivery.
enum End {
    /// After this time since the event was accepted or redriven.
    Delivered(Duration),
    DeadLettered,
}

impl Deliverer {
    /// Makes the consequences of an attempt durable, then acknowledges its message.
    pub(crate) async fn conclude(
        &self,
        event: &QueuedEvent,
        attempted: Attempted,
        kind: AttemptKind,
        receipt: Receipt,
        begun: Begun,
    ) {
        let rule = &self.settings.retry_rule;
        let assessment = self.assess(event, &attempted, kind, rule);
        let next_attempt_at = self.publish_follow_up(event, &assessment).await;
        let end = Self::end_of(event, &assessment);
        self.record(event, attempted, assessment, next_attempt_at)
            .await;
        begun.conclude();
        log_ack_failure(receipt.ack().await);
        self.count_end(end);
    }

    /// Makes the consequences of an attempt in a lane durable. Returns the next attempt and
    /// the time until it; `None` if the delivery has ended and its message needs an ack.
    ///
    /// Retries in a lane are not published: their event stays the head of its key.
    pub(crate) async fn conclude_in_lane(
        &self,
        event: &QueuedEvent,
        attempted: Attempted,
        kind: AttemptKind,
    ) -> Option<(QueuedEvent, Duration)> {
        let rule = &self.settings.lane_rule();
        let assessment = self.assess(event, &attempted, kind, rule);
        let retry = self.retry_in_lane(event, &assessment);
        let counts = assessment.counts;
        if retry.is_none() && assessment.decision != Decision::Delivered {
            self.dead_letter(event, &assessment).await;
        }
        let next_attempt_at = retry
            .as_ref()
            .map(|(_, wait)| assessment.ended_at.plus(*wait));
        let end = Self::end_of(event, &assessment);
        self.record(event, attempted, assessment, next_attempt_at)
            .await;
        self.count_end(end);
        retry.map(|(event, wait)| {
            // The wait of an attempt that did not count is that of the admission, which can
            // end earlier.
            let wait = if counts {
                wait + spread_of(&event, rule)
            } else {
                Duration::ZERO
            };
            (event, wait)
        })
    }

    /// Returns the next attempt of an event in a lane and the wait before it.
    fn retry_in_lane(
        &self,
        event: &QueuedEvent,
        assessment: &Assessment,
    ) -> Option<(QueuedEvent, Duration)> {
        match assessment.decision {
            Decision::Delivered => None,
            Decision::RetryAfter(_) | Decision::Exhausted if !assessment.counts => {
                let again = event.clone().in_new_round(assessment.ended_at);
                Some((again, self.admission.until_next()))
            }
            Decision::RetryAfter(step) => {
                self.metrics.retry_scheduled(event.attempt, step);
                Some((event.clone().next_attempt(), step.duration()))
            }
            Decision::Exhausted => None,
        }
    }

    fn assess(
        &self,
        event: &QueuedEvent,
        attempted: &Attempted,
        kind: AttemptKind,
        rule: &RetryRule,
    ) -> Assessment {
        let outcome = &attempted.outcome;
        let error = outcome.error_message();
        let signal = HealthSignal::of(outcome);
        let counts = self
            .admission
            .record(signal, attempted.took, error.as_deref());
        if kind == AttemptKind::Probe {
            let is_delivered = signal == HealthSignal::Success;
            self.metrics.probed(is_delivered);
            if !is_delivered {
                self.admission.probe_failed(signal, error.as_deref());
            }
        }
        let ended_at = attempted.started_at.plus(attempted.took);
        self.outages
            .record(signal, ended_at, || self.admission.is_paused());
        Assessment {
            decision: rule.decide(event.attempt, outcome),
            signal,
            counts,
            begins_hold: rule.is_held(event.attempt.next()) && !rule.is_held(event.attempt),
            error,
            started_at: attempted.started_at,
            ended_at,
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
                self.republish(&event.clone().in_new_round(ended_at)).await;
                Some(next_attempt_at)
            }
            Decision::RetryAfter(step) => {
                let retry = Outgoing::retry(event, &self.name, step);
                self.publisher.publish_until_confirmed(&retry).await;
                failpoint::pass(Failpoint::RetryConfirmed);
                self.metrics.retry_scheduled(event.attempt, step);
                Some(ended_at.plus(step.duration()))
            }
            Decision::Exhausted => {
                self.dead_letter(event, assessment).await;
                None
            }
        }
    }

    /// Publishes the dead letter of an exhausted event.
    async fn dead_letter(&self, event: &QueuedEvent, assessment: &Assessment) {
        let reason = assessment.error.as_deref().unwrap_or_default();
        let is_outage = assessment.signal.is_outage();
        self.publish_dead_letter(event, reason, is_outage, assessment.ended_at)
            .await;
        // After the confirm, so that a redrive finds it.
        self.outages
            .died(assessment.signal, event.queued_at(), assessment.started_at);
    }

    pub(crate) async fn publish_dead_letter(
        &self,
        event: &QueuedEvent,
        reason: &str,
        is_outage: bool,
        now: UnixMillis,
    ) {
        let dead_letter = Outgoing::dead_letter(event, &self.name, reason, now);
        let dead_letter = dead_letter.of_outage(is_outage);
        self.publisher.publish_until_confirmed(&dead_letter).await;
    }

    /// Returns the result of an attempt, or of the end without one.
    pub(crate) fn result(&self, event: &QueuedEvent, attempt: Attempt) -> AttemptResult {
        AttemptResult::of(event, self.name.clone(), attempt)
    }

    /// Records the result of an attempt, and waits until that is durable.
    async fn record(
        &self,
        event: &QueuedEvent,
        attempted: Attempted,
        assessment: Assessment,
        next_attempt_at: Option<UnixMillis>,
    ) {
        if assessment.counts {
            self.log_outcome(event, &attempted, &assessment);
        }
        let url = Arc::clone(&self.settings.shown_url);
        let attempt = Attempt {
            duration_ms: attempted.took.as_millis().try_into().unwrap_or(i64::MAX),
            status_code: attempted.outcome.status_code(),
            error: assessment.error,
            next_attempt_at,
            response: attempted.response,
            ..Attempt::begun(event, attempted.started_at, url)
        };
        let result = self.result(event, attempt);
        self.recorder.record(result, attempted.expected).await;
        if let Some(spans) = attempted.spans {
            spans.concluded(what_follows(assessment.decision, assessment.counts));
        }
        failpoint::pass(Failpoint::Recorded);
    }

    /// Returns the end of a delivery, for the metrics; `None` if another attempt follows.
    fn end_of(event: &QueuedEvent, assessment: &Assessment) -> Option<End> {
        match assessment.decision {
            Decision::Delivered => {
                Some(End::Delivered(assessment.ended_at.since(event.queued_at())))
            }
            Decision::Exhausted if assessment.counts => Some(End::DeadLettered),
            Decision::Exhausted | Decision::RetryAfter(_) => None,
        }
    }

    fn count_end(&self, end: Option<End>) {
        match end {
            Some(End::Delivered(after)) => self.metrics.delivered(after),
            Some(End::DeadLettered) => self.metrics.dead_lettered(),
            None => {}
        }
    }

    fn log_outcome(&self, event: &QueuedEvent, attempted: &Attempted, assessment: &Assessment) {
        let (id, name, attempt) = (&event.id, event.name.as_str(), event.attempt.get());
        let (endpoint, ms) = (&self.name, attempted.took.as_millis());
        let error = assessment.error.as_deref().unwrap_or_default();
        match assessment.decision {
            Decision::Delivered => {
                tracing::debug!(%endpoint, %id, event = name, attempt, ms, "delivered");
            }
            Decision::RetryAfter(step) if assessment.begins_hold => {
                let retry_in = step.duration();
                tracing::warn!(%endpoint, %id, event = name, attempt, ms, error, ?retry_in, "retries exhausted, event held: later events of its key wait until it is delivered or given up (`endpoints give-up`)");
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
