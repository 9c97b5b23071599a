//! From an event's bytes to the broker's confirm.

use axum::{body::Bytes, http::StatusCode};
use serde::Serialize;
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;
use wahook_domain::{AttemptNumber, EventId, Fault, Ingest, QueuedEvent, Validation, ingest};
use wahook_failpoint::{self as failpoint, Failpoint};
use wahook_queue::{PublishError, Publisher};
use wahook_runtime::{clock, metrics::ProducerMetrics};

use crate::{
    CONFIRM_LIMIT,
    budget::Budget,
    duplicates::{Claim, Duplicates},
    problem::Problem,
    router::{EventRouter, Routed},
    settings::LARGEST_EVENT,
    token::Tokens,
};

/// What a publish takes beside the event's bytes, about.
const PUBLISH_BYTES: usize = 1024;

/// What answering needs.
pub(crate) struct EventService {
    /// Who may send.
    pub(crate) tokens: Tokens,
    /// The largest body, in bytes.
    pub(crate) max_body_bytes: usize,
    /// What happens to events that differ from the documented ones.
    pub(crate) validation: Validation,
    /// To the broker.
    pub(crate) publisher: Publisher,
    /// What no endpoint wants.
    pub(crate) unwanted: EventRouter,
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
    /// Only there, and 0, where no endpoint wants events of this name: it is
    /// delivered to nobody. How many want another is not known here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, minimum = 0, maximum = 0)]
    endpoints: Option<u8>,
}

/// What became of an event.
enum Published {
    Queued,
    Unwanted,
    Duplicate,
}

impl From<Routed> for Published {
    fn from(routed: Routed) -> Self {
        match routed {
            Routed::Queued => Self::Queued,
            Routed::Unwanted => Self::Unwanted,
        }
    }
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

impl EventService {
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
        let published = if is_fresh {
            self.publish(&queued).await.map(Published::from)
        } else {
            self.publish_once(&queued).await
        };
        let published =
            published.map_err(|error| Problem::not_published(error, queued.id.clone()))?;
        match published {
            Published::Duplicate => self.metrics.events_duplicate.inc(),
            Published::Unwanted => self.metrics.events_unwanted.inc(),
            Published::Queued => self.metrics.events_accepted.inc(),
        }
        let duplicate = matches!(published, Published::Duplicate);
        if !duplicate {
            let warnings = event.warnings.len() as u64;
            self.metrics.event_warnings.inc_by(warnings);
        }
        Ok(Taken {
            id: queued.id,
            warnings: event.warnings,
            duplicate,
            endpoints: matches!(published, Published::Unwanted).then_some(0),
        })
    }

    /// Publishes unless the same event was published lately. One that nobody
    /// wanted is not remembered: when it is repeated, somebody may.
    async fn publish_once(&self, event: &QueuedEvent) -> Result<Published, PublishError> {
        let claim = timeout(CONFIRM_LIMIT, self.duplicates.claim(&event.id)).await;
        match claim.map_err(|_| PublishError::TimedOut)? {
            Claim::Duplicate => Ok(Published::Duplicate),
            Claim::Publish(publishing) => {
                let routed = self.publish(event).await?;
                if routed == Routed::Queued {
                    publishing.confirmed();
                }
                Ok(routed.into())
            }
        }
    }

    async fn publish(&self, event: &QueuedEvent) -> Result<Routed, PublishError> {
        let timer = self.metrics.publish_confirm_seconds.start_timer();
        let published = self.unwanted.publish(&self.publisher, event).await;
        if published.is_ok() {
            failpoint::pass(Failpoint::Confirmed);
            timer.observe_duration();
        } else {
            timer.stop_and_discard();
        }
        published
    }
}
