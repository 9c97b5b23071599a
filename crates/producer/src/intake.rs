//! From an event's bytes to the broker's confirm.

use axum::{body::Bytes, http::StatusCode};
use serde::Serialize;
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;
use wahook_domain::{AttemptNumber, EventId, Fault, Ingest, QueuedEvent, Validation, ingest};
use wahook_failpoint::{self as failpoint, Failpoint};
use wahook_queue::{Outgoing, PublishError, Publisher};
use wahook_service::{clock, metrics::ProducerMetrics};

use crate::{
    CONFIRM_LIMIT,
    budget::Budget,
    duplicates::{Claim, Duplicates},
    problem::Problem,
    settings::LARGEST_EVENT,
    token::Tokens,
};

/// What a publish takes beside the event's bytes, about.
const PUBLISH_BYTES: usize = 1024;

/// What answering needs.
pub(crate) struct Intake {
    /// Who may send.
    pub(crate) tokens: Tokens,
    /// The largest body, in bytes.
    pub(crate) max_body_bytes: usize,
    /// What happens to events that differ from the documented ones.
    pub(crate) validation: Validation,
    /// To the broker.
    pub(crate) publisher: Publisher,
    /// What is counted.
    pub(crate) metrics: ProducerMetrics,
    /// One for each request that may be answered at once.
    pub(crate) permits: Semaphore,
    /// The memory for bodies and answers.
    pub(crate) budget: Budget,
    /// What was published lately.
    pub(crate) duplicates: Duplicates,
}

/// The answer to one event that was taken.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Taken {
    /// The event's id, which its deliveries carry as `webhook-id`.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,128}$")]
    id: EventId,
    /// Where the event differs from what is documented.
    #[schema(value_type = Vec<crate::problem::FaultSchema>)]
    warnings: Vec<Fault>,
    /// Only there, and true, where the same event was taken within the last
    /// ten minutes: it was not published again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    duplicate: bool,
}

impl Taken {
    /// 202 for an event that was published, 200 for one that had been before.
    pub(crate) fn status(&self) -> StatusCode {
        if self.duplicate {
            StatusCode::OK
        } else {
            StatusCode::ACCEPTED
        }
    }

    pub(crate) fn without_warnings(self) -> Self {
        Self {
            warnings: Vec::new(),
            ..self
        }
    }
}

impl Intake {
    /// Counts an event that was refused.
    pub(crate) fn count(&self, problem: &Problem) {
        self.metrics.events_refused(problem.reason()).inc();
    }

    /// Takes one event; it is counted here when it is taken, and by the caller
    /// when it is refused.
    pub(crate) async fn take(
        &self,
        raw: Bytes,
        idempotency_key: Option<EventId>,
        traceparent: Option<String>,
    ) -> Result<Taken, Problem> {
        let now = clock::now();
        let context = Ingest {
            validation: self.validation,
            now,
            idempotency_key,
        };
        let mut is_fresh = false;
        let fresh_id = || {
            is_fresh = true;
            EventId::from(Uuid::now_v7())
        };
        let event = ingest(&raw, context, fresh_id).map_err(Problem::rejected)?;
        if event.body.len() > LARGEST_EVENT {
            return Err(Problem::too_large_to_publish(LARGEST_EVENT));
        }
        // Until its confirm it is here twice: as it is, and in the frames that
        // wait to be written to the broker.
        let hold = self.budget.hold(2 * event.body.len() + PUBLISH_BYTES);
        let body = event.body.kept_with(hold.map_err(Problem::no_memory)?);
        drop(raw);
        let queued = QueuedEvent {
            id: event.id,
            name: event.name,
            body,
            attempt: AttemptNumber::FIRST,
            accepted_at: now,
            redriven_at: None,
            traceparent,
        };
        // Nobody can repeat an id that was made here a moment ago.
        let duplicate = if is_fresh {
            self.publish(&queued).await.map(|()| false)
        } else {
            self.publish_once(&queued).await
        };
        let duplicate =
            duplicate.map_err(|error| Problem::not_published(error, queued.id.clone()))?;
        if duplicate {
            self.metrics.events_duplicate.inc();
        } else {
            self.metrics.events_accepted.inc();
            let warnings = event.warnings.len() as u64;
            self.metrics.event_warnings.inc_by(warnings);
        }
        Ok(Taken {
            id: queued.id,
            warnings: event.warnings,
            duplicate,
        })
    }

    /// Publishes unless the same event was published lately; whether it was.
    async fn publish_once(&self, event: &QueuedEvent) -> Result<bool, PublishError> {
        let claim = timeout(CONFIRM_LIMIT, self.duplicates.claim(&event.id)).await;
        match claim.map_err(|_| PublishError::TimedOut)? {
            Claim::Duplicate => Ok(true),
            Claim::Publish(publishing) => {
                self.publish(event).await?;
                publishing.confirmed();
                Ok(false)
            }
        }
    }

    async fn publish(&self, event: &QueuedEvent) -> Result<(), PublishError> {
        let timer = self.metrics.publish_confirm_seconds.start_timer();
        let published = self.publisher.publish(Outgoing::event(event)).await;
        if published.is_ok() {
            failpoint::pass(Failpoint::Confirmed);
            timer.observe_duration();
        } else {
            timer.stop_and_discard();
        }
        published
    }
}
