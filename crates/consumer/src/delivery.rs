//! Life of one message: decode, sign and POST, decide, make the decision durable,
//! record, and acknowledge last. The steps after the POST are in [`crate::conclusion`].
//!
//! A failed attempt is recorded only after the broker has confirmed its retry (or
//! dead letter). So a recorded attempt proves that its consequences are durable,
//! and a redelivered message whose attempt is recorded needs only its ack.
//!
//! Without an order, a message that is redelivered while this process still makes its
//! delivery waits for the end of that one ([`crate::unfinished`]).
//!
//! An attempt that fails while the endpoint is paused, or that the endpoint was too busy
//! for, is recorded, but not counted: the event is republished for the same attempt in a
//! new round, so that the record of the failed attempt is not mistaken for that of the
//! next.

use std::{sync::Arc, time::Duration};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::TaskTracker;
use wahook_domain::{AttemptNumber, DeliveryRecord, QueuedEvent, Resume};
use wahook_failpoint::{self as failpoint, Failpoint};
use wahook_queue::{Receipt, Received};
use wahook_runtime::{clock, metrics::InFlightGuard};

use crate::{
    admission::Started,
    client::Posted,
    conclusion::Attempted,
    deliverer::{AttemptKind, Deliverer, log_ack_failure},
    spread::spread_of,
    unfinished::Begun,
};

/// Time limit for the log's look-up of a redelivered message. After it the attempt
/// is made, since a duplicate is better than a loss.
const LOOK_UP_LIMIT: Duration = Duration::from_secs(1);

/// Message that needs a delivery.
struct Accepted {
    event: QueuedEvent,
    receipt: Receipt,
    begun: Begun,
    /// `None` if it was released during a wait.
    permit: Option<OwnedSemaphorePermit>,
}

impl Deliverer {
    /// Delivers one message. The permit is held while the request is made.
    pub(crate) async fn deliver(
        &self,
        received: Received,
        permit: OwnedSemaphorePermit,
        kind: AttemptKind,
    ) {
        let Some(accepted) = self.accept(received, Some(permit)).await else {
            return;
        };
        let Accepted {
            mut event,
            receipt,
            begun,
            permit,
        } = accepted;
        let is_unpaced = kind == AttemptKind::Delivery(Started::Unpaced);
        let permit = if is_unpaced && event.attempt > AttemptNumber::FIRST {
            drop(permit);
            sleep(spread_of(&event, &self.settings.retry_rule)).await;
            None
        } else {
            permit
        };
        let permit = match permit {
            None => self.admission.permit().await,
            held => held,
        };
        let may_start = match kind {
            AttemptKind::Probe => !self.admission.is_paused_by_operator(),
            AttemptKind::Delivery(_) => !self.admission.is_paused(),
        };
        if !may_start {
            drop((permit, begun));
            return self.republish_event(&event, receipt).await;
        }
        let in_flight = InFlightGuard::new(&self.metrics.in_flight);
        let attempted = self.attempt(&mut event).await;
        failpoint::pass(Failpoint::Posted);
        drop((in_flight, permit));
        self.conclude(&event, attempted, kind, receipt, begun).await;
    }

    /// Settles a message without an attempt, in a task of its own: its event is dropped by the
    /// filter, or republished, so that it waits in its queue.
    pub(crate) fn set_aside(self: &Arc<Self>, received: Received, deliveries: &TaskTracker) {
        let endpoint = Arc::clone(self);
        deliveries.spawn(async move {
            if let Some(accepted) = endpoint.accept(received, None).await {
                let Accepted { event, receipt, .. } = accepted;
                endpoint.republish_event(&event, receipt).await;
            }
        });
    }

    /// Returns true if the message is redelivered while this process makes its delivery.
    pub(crate) fn is_unfinished(&self, received: &Received) -> bool {
        let event = received.redelivered.then(|| received.event().ok());
        event
            .flatten()
            .is_some_and(|event| self.unfinished.has(&event))
    }

    /// Returns the event of a message, or `None` after settling a message that needs no
    /// delivery. Waits while this process makes the same delivery, begun on a connection that
    /// was lost; the permit is released meanwhile.
    async fn accept(
        &self,
        received: Received,
        mut permit: Option<OwnedSemaphorePermit>,
    ) -> Option<Accepted> {
        failpoint::pass(Failpoint::Received);
        let redelivered = received.redelivered;
        let (event, receipt) = self.decode(received).await?;
        let receipt = self.pass_filter(&event, receipt).await?;
        let earlier = redelivered
            .then(|| self.unfinished.ending(&event))
            .flatten();
        let is_concluded = match earlier {
            Some(earlier) => {
                permit = None;
                earlier.wait().await
            }
            None => false,
        };
        let begun = self.unfinished.begin(&event);
        if redelivered && self.is_already_made(&event, is_concluded).await {
            begun.conclude();
            log_ack_failure(receipt.ack().await);
            return None;
        }
        Some(Accepted {
            event,
            receipt,
            begun,
            permit,
        })
    }

    /// Returns the event of a message, or `None` after settling one that is undecodable.
    pub(crate) async fn decode(&self, received: Received) -> Option<(QueuedEvent, Receipt)> {
        match received.event() {
            Ok(event) => Some((event, received.receipt)),
            // Left by an owner of a lane.
            Err(_) if received.marker().is_some() => {
                log_ack_failure(received.receipt.ack().await);
                None
            }
            Err(poison) => {
                self.totals.poison_messages.inc();
                tracing::error!(endpoint = %self.name, %poison, "undecodable message dead-lettered");
                log_ack_failure(received.receipt.reject().await);
                None
            }
        }
    }

    /// Returns the receipt, or `None` after acknowledging an event that the endpoint's filter
    /// drops.
    pub(crate) async fn pass_filter(
        &self,
        event: &QueuedEvent,
        receipt: Receipt,
    ) -> Option<Receipt> {
        if !self.drops(event) {
            return Some(receipt);
        }
        self.metrics.filtered();
        tracing::debug!(endpoint = %self.name, id = %event.id, event = event.name.as_str(), "event filtered");
        log_ack_failure(receipt.ack().await);
        None
    }

    /// Returns true if the attempt of a redelivered message is made and its consequences are
    /// durable: this process has concluded it meanwhile, or the log has it.
    async fn is_already_made(&self, event: &QueuedEvent, is_concluded: bool) -> bool {
        let is_made = is_concluded || {
            let record = self.look_up(event).await;
            record.is_some_and(|record| record.covers(event))
        };
        self.count_redelivered(is_made);
        is_made
    }

    /// Returns how the delivery of a redelivered event goes on in its lane.
    pub(crate) async fn resume(&self, event: &QueuedEvent) -> Resume {
        let record = self.look_up(event).await;
        let rule = self.settings.lane_rule();
        let resume = record.map_or(Resume::Untried, |record| record.resume(event, &rule));
        self.count_redelivered(resume == Resume::Ended);
        resume
    }

    fn count_redelivered(&self, is_skipped: bool) {
        if is_skipped {
            self.metrics.redelivered.skipped.inc();
        } else {
            self.metrics.redelivered.attempted.inc();
        }
    }

    /// Returns the record of a redelivered event; `None` also while the log is unavailable.
    async fn look_up(&self, event: &QueuedEvent) -> Option<DeliveryRecord> {
        if !self.log_health.is_up() {
            return None;
        }
        match timeout(LOOK_UP_LIMIT, self.log.find(&event.id, &self.name)).await {
            Ok(Ok(record)) => record,
            Ok(Err(error)) => {
                tracing::warn!(%error, id = %event.id, "log look-up failed, attempting the delivery again");
                None
            }
            Err(_) => None,
        }
    }

    /// Makes an attempt. If traces are on, the event notes it for what follows.
    pub(crate) async fn attempt(&self, event: &mut QueuedEvent) -> Attempted {
        let expected = self.recorder.expect();
        let started_at = clock::now();
        if event.attempt == AttemptNumber::FIRST {
            self.metrics
                .first_begun(started_at.since(event.queued_at()));
        }
        let mut spans = wahook_traces::tracer().map(|tracer| self.begin_spans(tracer, event));
        let sent = spans.as_ref().map_or(&*event, |spans| spans.sent());
        // Monotonic, since the wall clock may step meanwhile.
        let start = Instant::now();
        let Posted {
            mut outcome,
            response,
        } = self.client.post(sent, started_at).await;
        if self.settings.hide_url {
            outcome.hide_location();
        }
        let took = start.elapsed();
        self.metrics.attempted(&outcome, event.attempt, took);
        if let Some(spans) = &mut spans {
            spans.answered(&outcome);
        }
        Attempted {
            started_at,
            took,
            outcome,
            response,
            expected,
            spans,
        }
    }
}
