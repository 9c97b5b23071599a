//! Life of one message: decode, sign and POST, decide, make the decision durable,
//! record, and acknowledge last.
//!
//! A failed attempt is recorded only after the broker has confirmed its retry (or
//! dead letter). So a recorded attempt proves that its consequences are durable,
//! and a redelivered message whose attempt is recorded needs only its ack.
//!
//! An attempt that fails while the endpoint is paused is recorded, but not counted:
//! the event is republished for the same attempt in a new round, so that the record
//! of the failed attempt is not mistaken for that of the next.

use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use wahook_delivery_log::SharedLog;
use wahook_domain::{
    Attempt, AttemptNumber, AttemptResult, Decision, EndpointName, HealthSignal, Outcome,
    QueuedEvent, UnixMillis,
};
use wahook_failpoint::{self as failpoint, Failpoint};
use wahook_queue::{Outgoing, Publisher, Receipt, Received};
use wahook_runtime::{clock, metrics::InFlightGuard};

use crate::{
    batching::PendingResult,
    client::EndpointClient,
    endpoint_gate::EndpointGate,
    metrics::{ConsumerMetrics, EndpointMetrics},
    recorder::{LogHealth, Recorder},
    settings::EndpointSettings,
};

/// Time limit for the log's look-up of a redelivered message. After it the attempt
/// is made, since a duplicate is better than a loss.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(1);

/// Delivers events to one endpoint; shared by all of its deliveries.
pub(crate) struct Deliverer {
    pub(crate) name: EndpointName,
    pub(crate) settings: EndpointSettings,
    pub(crate) client: EndpointClient,
    /// Limits the requests in flight.
    pub(crate) permits: Arc<Semaphore>,
    /// Maximum number of unacked messages.
    pub(crate) prefetch: u16,
    pub(crate) gate: Arc<EndpointGate>,
    /// Publishes retries and dead letters.
    pub(crate) publisher: Publisher,
    pub(crate) recorder: Recorder,
    /// Delivery log, for the look-up of redelivered messages.
    pub(crate) log: SharedLog,
    /// Skips the look-up while the log is unavailable.
    pub(crate) log_health: LogHealth,
    /// Metrics of this endpoint.
    pub(crate) metrics: EndpointMetrics,
    /// Metrics of all endpoints together.
    pub(crate) totals: ConsumerMetrics,
}

/// Purpose of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptKind {
    Delivery,
    /// Tests whether a paused endpoint has recovered.
    Probe,
}

impl Deliverer {
    /// Puts this deliverer's settings into effect.
    pub(crate) fn take_effect(&self) {
        self.metrics.limit.set(self.settings.concurrency.into());
        self.gate.apply_settings(&self.settings);
    }

    /// Delivers one message. The permit is held while the request is made.
    pub(crate) async fn deliver(
        &self,
        received: Received,
        permit: OwnedSemaphorePermit,
        kind: AttemptKind,
    ) {
        let Some((event, receipt)) = self.accept(received).await else {
            return;
        };
        if kind == AttemptKind::Delivery && self.gate.is_paused() {
            drop(permit);
            return self.republish_event(&event, receipt).await;
        }
        let in_flight = InFlightGuard::new(&self.metrics.in_flight);
        let attempted = self.attempt(&event).await;
        failpoint::pass(Failpoint::Posted);
        drop((in_flight, permit));
        self.conclude(&event, attempted, receipt, kind).await;
    }

    /// Republishes a message without an attempt, so that it waits in its queue.
    pub(crate) async fn republish(&self, received: Received) {
        if let Some((event, receipt)) = self.accept(received).await {
            self.republish_event(&event, receipt).await;
        }
    }

    async fn republish_event(&self, event: &QueuedEvent, receipt: Receipt) {
        let again = Outgoing::republish(event, &self.name);
        self.publisher.publish_until_confirmed(&again).await;
        log_ack_failure(receipt.ack().await);
        self.metrics.put_back.inc();
    }

    /// Returns the event of a message, or `None` after settling a message that needs no
    /// delivery.
    async fn accept(&self, received: Received) -> Option<(QueuedEvent, Receipt)> {
        failpoint::pass(Failpoint::Received);
        let event = match received.event() {
            Ok(event) => event,
            Err(poison) => {
                self.totals.poison_messages.inc();
                tracing::error!(endpoint = %self.name, %poison, "undecodable message dead-lettered");
                log_ack_failure(received.receipt.reject().await);
                return None;
            }
        };
        if received.redelivered && self.is_already_recorded(&event).await {
            log_ack_failure(received.receipt.ack().await);
            return None;
        }
        Some((event, received.receipt))
    }

    /// Returns true if the log already covers a redelivered message.
    async fn is_already_recorded(&self, event: &QueuedEvent) -> bool {
        let recorded = self.log_health.is_up()
            && match timeout(LOOK_UP_LIMIT, self.log.find(&event.id, &self.name)).await {
                Ok(Ok(record)) => record.is_some_and(|record| record.covers(event)),
                Ok(Err(error)) => {
                    tracing::warn!(%error, id = %event.id, "log look-up failed, attempting the delivery again");
                    false
                }
                Err(_) => false,
            };
        if recorded {
            self.metrics.redelivered.skipped.inc();
        } else {
            self.metrics.redelivered.attempted.inc();
        }
        recorded
    }

    async fn attempt(&self, event: &QueuedEvent) -> Attempted {
        let expected = self.recorder.expect();
        let started_at = clock::now();
        if event.attempt == AttemptNumber::FIRST {
            self.metrics
                .first_begun(started_at.since(event.queued_at()));
        }
        // Monotonic, since the wall clock may step meanwhile.
        let start = Instant::now();
        let outcome = self.client.post(event, started_at).await;
        let took = start.elapsed();
        self.metrics.attempted(&outcome, event.attempt, took);
        Attempted {
            started_at,
            took,
            outcome,
            expected,
        }
    }

    /// Makes the consequences of an attempt durable, then acknowledges its message.
    async fn conclude(
        &self,
        event: &QueuedEvent,
        attempted: Attempted,
        receipt: Receipt,
        kind: AttemptKind,
    ) {
        let decision = self
            .settings
            .retry_rule
            .decide(event.attempt, &attempted.outcome);
        let error = attempted.outcome.error_message();
        let ended_at = attempted.started_at.plus(attempted.took);
        let counts = self.record_health(&attempted.outcome, decision, kind);
        let mut next_attempt_at = None;
        match decision {
            Decision::Delivered => {}
            Decision::RetryAfter(_) | Decision::Exhausted if !counts => {
                next_attempt_at = Some(ended_at.plus(self.gate.until_probe()));
                let again = Outgoing::republish(&in_new_round(event, ended_at), &self.name);
                self.publisher.publish_until_confirmed(&again).await;
                self.metrics.put_back.inc();
            }
            Decision::RetryAfter(step) => {
                next_attempt_at = Some(ended_at.plus(step.duration()));
                let retry = Outgoing::retry(event, &self.name, step);
                self.publisher.publish_until_confirmed(&retry).await;
                failpoint::pass(Failpoint::RetryConfirmed);
                self.metrics.retry_scheduled(step);
            }
            Decision::Exhausted => {
                let reason = error.as_deref().unwrap_or_default();
                let dead_letter = Outgoing::dead_letter(event, &self.name, reason, ended_at);
                self.publisher.publish_until_confirmed(&dead_letter).await;
            }
        }
        if counts {
            self.log_outcome(event, &attempted, decision, error.as_deref());
        }
        let result = AttemptResult {
            event_id: event.id.clone(),
            endpoint: self.name.clone(),
            event: event.name.clone(),
            body: event.body.clone(),
            accepted_at: event.accepted_at,
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
        };
        self.recorder.record(result, attempted.expected).await;
        failpoint::pass(Failpoint::Recorded);
        log_ack_failure(receipt.ack().await);
        if decision == Decision::Delivered {
            self.metrics.delivered(ended_at.since(event.queued_at()));
        } else if decision == Decision::Exhausted && counts {
            self.metrics.dead_lettered();
        }
    }

    /// Updates the endpoint's health. Returns true if the attempt counts against its
    /// event.
    fn record_health(&self, outcome: &Outcome, decision: Decision, kind: AttemptKind) -> bool {
        let (signal, error) = (HealthSignal::of(outcome, decision), outcome.error_message());
        self.gate.record(signal, error.as_deref());
        if kind == AttemptKind::Probe {
            let delivered = signal == HealthSignal::Success;
            if delivered {
                self.metrics.probes.delivered.inc();
            } else {
                self.metrics.probes.failed.inc();
                self.gate.probe_failed(error.as_deref());
            }
            delivered
        } else {
            signal != HealthSignal::Failure || !self.gate.is_paused()
        }
    }

    fn log_outcome(
        &self,
        event: &QueuedEvent,
        attempted: &Attempted,
        decision: Decision,
        error: Option<&str>,
    ) {
        let (id, name, attempt) = (&event.id, event.name.as_str(), event.attempt.get());
        let (endpoint, ms) = (&self.name, attempted.took.as_millis());
        let error = error.unwrap_or_default();
        match decision {
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

struct Attempted {
    started_at: UnixMillis,
    took: Duration,
    outcome: Outcome,
    /// Marks the result as pending for the recorder.
    expected: PendingResult,
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

fn log_ack_failure(result: Result<(), wahook_queue::AckError>) {
    if let Err(error) = result {
        tracing::debug!(%error, "ack failed");
    }
}
