//! The life of one message: decode, sign and POST, decide, make the decision
//! durable, record, and acknowledge last of all.
//!
//! A failed attempt is recorded only after its retry (or dead letter) is
//! confirmed by the broker. So a recorded attempt proves that everything it led
//! to is durable, and a redelivered message whose attempt is recorded needs
//! nothing but its ack.
//!
//! An attempt that fails while the endpoint is taken to be down is recorded, but
//! not counted: the event goes back to its queue for the same attempt, in a new
//! round, since the record of the failed one must not pass for that of the next.

use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};
use wahook_delivery_log::DeliveryLog;
use wahook_domain::{
    Attempt, AttemptNumber, AttemptResult, Decision, EndpointName, HealthSignal, Outcome,
    QueuedEvent, UnixMillis,
};
use wahook_failpoint::{self as failpoint, Failpoint};
use wahook_queue::{Outgoing, Publisher, Receipt, Received};
use wahook_runtime::{
    clock,
    metrics::{ConsumerMetrics, EndpointMetrics, InFlightGuard},
};

use crate::{
    batching::PendingResult,
    client::EndpointClient,
    endpoint_gate::EndpointGate,
    recorder::{LogHealth, Recorder},
    settings::EndpointSettings,
};

/// How long the log may take to say what it knows of a redelivered message;
/// then the attempt is made, since a duplicate is better than a loss.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(1);

/// All that deliveries to one endpoint share.
pub(crate) struct Deliverer<L> {
    /// Its name, in queues, log and metrics.
    pub(crate) name: EndpointName,
    /// All that was set of it.
    pub(crate) settings: EndpointSettings,
    /// Makes the attempts.
    pub(crate) client: EndpointClient,
    /// One for each request that may be in flight.
    pub(crate) permits: Arc<Semaphore>,
    /// Messages that may be handed out and not yet acknowledged.
    pub(crate) prefetch: u16,
    /// Whether and how fast deliveries may go.
    pub(crate) gate: Arc<EndpointGate>,
    /// Where retries and dead letters go.
    pub(crate) publisher: Publisher,
    /// Where results go.
    pub(crate) recorder: Recorder,
    /// Where redelivered messages are looked up.
    pub(crate) log: Arc<L>,
    /// Whether the log is worth asking.
    pub(crate) log_health: LogHealth,
    /// What is counted of this endpoint.
    pub(crate) metrics: EndpointMetrics,
    /// What is counted of all.
    pub(crate) totals: ConsumerMetrics,
}

/// Why a delivery is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptKind {
    /// To deliver.
    Delivery,
    /// To find out whether the endpoint is back.
    Probe,
}

impl<L: DeliveryLog> Deliverer<L> {
    /// From now on its settings are those in effect.
    pub(crate) fn take_effect(&self) {
        self.metrics.limit.set(self.settings.concurrency.into());
        self.gate.follow(&self.settings);
    }

    /// Deals with one message. The permit is held while the request is made.
    pub(crate) async fn deliver(
        &self,
        received: Received,
        permit: OwnedSemaphorePermit,
        kind: AttemptKind,
    ) {
        let Some((event, receipt)) = self.accept(received).await else {
            return;
        };
        if kind == AttemptKind::Delivery && self.gate.is_open() {
            drop(permit);
            return self.return_to_queue(&event, receipt).await;
        }
        let in_flight = InFlightGuard::new(&self.metrics.in_flight);
        let attempted = self.attempt(&event).await;
        failpoint::pass(Failpoint::Posted);
        drop((in_flight, permit));
        self.conclude(&event, attempted, receipt, kind).await;
    }

    /// Deals with a message whose time has not come: it waits in its queue.
    pub(crate) async fn put_back(&self, received: Received) {
        if let Some((event, receipt)) = self.accept(received).await {
            self.return_to_queue(&event, receipt).await;
        }
    }

    async fn return_to_queue(&self, event: &QueuedEvent, receipt: Receipt) {
        let again = Outgoing::put_back(event, &self.name);
        self.publisher.publish_until_confirmed(&again).await;
        acknowledged(receipt.ack().await);
        self.metrics.put_back.inc();
    }

    /// The event of a message, unless there is nothing left to do for it.
    async fn accept(&self, received: Received) -> Option<(QueuedEvent, Receipt)> {
        failpoint::pass(Failpoint::Received);
        let event = match received.event() {
            Ok(event) => event,
            Err(poison) => {
                self.totals.poison_messages.inc();
                tracing::error!(endpoint = %self.name, %poison, "undecodable message: dead letter");
                acknowledged(received.receipt.reject().await);
                return None;
            }
        };
        if received.redelivered && self.already_dealt_with(&event).await {
            acknowledged(received.receipt.ack().await);
            return None;
        }
        Some((event, received.receipt))
    }

    /// Asks the log about a message that the broker hands out again.
    async fn already_dealt_with(&self, event: &QueuedEvent) -> bool {
        let known = self.log_health.is_up()
            && match timeout(LOOK_UP_LIMIT, self.log.find(&event.id, &self.name)).await {
                Ok(Ok(record)) => record.is_some_and(|record| record.covers(event)),
                Ok(Err(error)) => {
                    tracing::warn!(%error, id = %event.id, "look-up failed, will attempt again");
                    false
                }
                Err(_) => false,
            };
        if known {
            self.metrics.redelivered.skipped.inc();
        } else {
            self.metrics.redelivered.attempted.inc();
        }
        known
    }

    async fn attempt(&self, event: &QueuedEvent) -> Attempted {
        let expected = self.recorder.expect();
        let started_at = clock::now();
        if event.attempt == AttemptNumber::FIRST {
            self.metrics
                .first_begun(started_at.since(event.queued_at()));
        }
        // Not by the wall clock, which may step meanwhile.
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

    /// Makes what follows from the attempt durable, then acknowledges.
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
        let counts = self.notice(&attempted.outcome, decision, kind);
        let mut next_attempt_at = None;
        match decision {
            Decision::Delivered => {}
            Decision::RetryAfter(_) | Decision::Exhausted if !counts => {
                next_attempt_at = Some(ended_at.plus(self.gate.until_probe()));
                let again = Outgoing::put_back(&in_a_new_round(event, ended_at), &self.name);
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
            self.tell(event, &attempted, decision, error.as_deref());
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
        acknowledged(receipt.ack().await);
        if decision == Decision::Delivered {
            self.metrics.delivered(ended_at.since(event.queued_at()));
        } else if decision == Decision::Exhausted && counts {
            self.metrics.dead_lettered();
        }
    }

    /// Takes note of what an attempt says of the endpoint. Returns whether it
    /// counts against its event.
    fn notice(&self, outcome: &Outcome, decision: Decision, kind: AttemptKind) -> bool {
        let (sign, error) = (HealthSignal::of(outcome, decision), outcome.error_message());
        self.gate.note(sign, error.as_deref());
        if kind == AttemptKind::Probe {
            let delivered = sign == HealthSignal::Success;
            if delivered {
                self.metrics.probes.delivered.inc();
            } else {
                self.metrics.probes.failed.inc();
                self.gate.probe_failed(error.as_deref());
            }
            delivered
        } else {
            sign != HealthSignal::Failure || !self.gate.is_open()
        }
    }

    fn tell(
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
                tracing::warn!(%endpoint, %id, event = name, attempt, ms, error, "exhausted: dead letter");
            }
        }
    }
}

struct Attempted {
    started_at: UnixMillis,
    took: Duration,
    outcome: Outcome,
    /// Tells the log's writer that a result is still to come.
    expected: PendingResult,
}

/// The same attempt of the same event, told from the one that was just made.
fn in_a_new_round(event: &QueuedEvent, now: UnixMillis) -> QueuedEvent {
    // Clocks of several machines may differ, but rounds are in order.
    let after = event.queued_at().plus(Duration::from_millis(1));
    QueuedEvent {
        redriven_at: Some(now.max(after)),
        ..event.clone()
    }
}

fn acknowledged(result: Result<(), wahook_queue::AckError>) {
    if let Err(error) = result {
        tracing::debug!(%error, "not acknowledged");
    }
}
