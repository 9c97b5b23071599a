//! Path of an event from its bytes to the broker's confirm.

use axum::{body::Bytes, http::StatusCode};
use serde::Serialize;
use std::sync::Arc;
use tokio::{sync::Semaphore, time::timeout};
use uuid::Uuid;
use wahook_domain::{
    ContentHash, EventId, EventName, Fault, Ingest, LARGEST_EVENT, Propagated, QueuedEvent,
    Rejection, Validation, ingest, json,
};
use wahook_failpoint::{self as failpoint, Failpoint};
use wahook_queue::PublishError;
use wahook_runtime::{clock, guard::Guard, tokens::Tokens};

use crate::{
    CONFIRM_LIMIT,
    budget::{Budget, Reservation},
    duplicates::{Decision, Duplicates},
    earlier::Earlier,
    exact::exact_body,
    headers::EventHeaders,
    metrics::ProducerMetrics,
    outlet::{NotAccepted, Outlet},
    problem::Problem,
    router::RouteOutcome,
    sources::Sources,
};

/// Approximate memory of a publish without the event's bytes.
const PUBLISH_BYTES: usize = 1024;

/// Largest event whose parse tree is not part of the budget, and whose name is looked up for
/// the log if it is refused, in bytes.
const SMALL_BYTES: usize = 64 << 10;

/// Shared state of all requests.
pub(crate) struct EventService {
    pub(crate) tokens: Tokens,
    /// Check of requests if there are no tokens.
    pub(crate) guard: Guard,
    /// Largest body, in bytes.
    pub(crate) max_body_bytes: usize,
    /// Treatment of events that differ from the documented ones.
    pub(crate) validation: Validation,
    /// Bodies are published as they were sent.
    pub(crate) keeps_exact: bool,
    pub(crate) outlet: Outlet,
    pub(crate) metrics: ProducerMetrics,
    /// Permits for requests in flight.
    pub(crate) permits: Semaphore,
    /// Permits for requests in flight whose signature is checked after the body is read.
    pub(crate) unverified_permits: Semaphore,
    /// Memory for bodies and answers.
    pub(crate) budget: Budget,
    /// Its part for answers, which slow clients may not read.
    pub(crate) answers: Budget,
    /// Its part for bodies that are read before their signature is checked.
    pub(crate) unverified: Budget,
    pub(crate) duplicates: Duplicates,
    /// Events that were accepted before the start, if there is a log of them.
    pub(crate) earlier: Option<Earlier>,
    pub(crate) sources: Arc<Sources>,
}

/// Answer to an accepted event.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Accepted {
    /// Id of the event; its deliveries carry it as `webhook-id`.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,128}$")]
    id: EventId,
    /// Differences from the documented event.
    #[schema(value_type = Vec<crate::problem::FaultSchema>)]
    warnings: Vec<Fault>,
    /// Only present, and true, if the same event was accepted within the last
    /// ten minutes: it was not published again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    duplicate: bool,
    /// Only present, and 0, if no endpoint wants events of this name: it is not
    /// delivered. The number of endpoints that want another event is unknown
    /// here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, minimum = 0, maximum = 0)]
    endpoints: Option<u8>,
}

/// Result of a request to publish an event.
enum Published {
    Queued,
    Unwanted,
    Duplicate,
    /// Another event with the same id was published.
    Conflict,
}

impl From<RouteOutcome> for Published {
    fn from(routed: RouteOutcome) -> Self {
        match routed {
            RouteOutcome::Queued | RouteOutcome::Spooled => Self::Queued,
            RouteOutcome::Unwanted => Self::Unwanted,
        }
    }
}

impl Accepted {
    /// Returns 202 for a published event, 200 for a duplicate.
    pub(crate) fn status(&self) -> StatusCode {
        if self.duplicate {
            StatusCode::OK
        } else {
            StatusCode::ACCEPTED
        }
    }

    /// Returns the outcome for the metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        if self.duplicate {
            "duplicate"
        } else if self.endpoints.is_some() {
            "unwanted"
        } else {
            "accepted"
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
    /// Counts a refused event.
    pub(crate) fn count(&self, problem: &Problem) {
        self.metrics.events_refused(problem.reason()).inc();
    }

    /// Accepts one event. An accepted event is counted here, a refused one by
    /// the caller.
    pub(crate) async fn accept(
        &self,
        raw: Bytes,
        idempotency_key: Option<EventId>,
        headers: EventHeaders,
    ) -> Result<Accepted, Problem> {
        let now = clock::now();
        let context = Ingest {
            validation: self.validation,
            now,
            idempotency_key,
        };
        let tree = self.reserve_tree(&raw, 0)?;
        let fresh_id = || EventId::from(Uuid::now_v7());
        let mut event =
            ingest(&raw, context, fresh_id).map_err(|rejection| rejected(&raw, rejection))?;
        drop(tree);
        let exact = if self.keeps_exact {
            exact_body(&raw, &mut event)
        } else {
            None
        };
        let queued = self.kept(QueuedEvent {
            exact,
            traceparent: headers.traceparent,
            propagated: headers.propagated,
            key: headers.order_key.or(event.key),
            ..QueuedEvent::new(event.id, event.name, event.body, now)
        })?;
        drop(raw);
        self.publish_accepted(queued, event.content, event.warnings)
            .await
    }

    /// Reserves the memory of a text's parse tree, and `more` bytes, if the text is large: at
    /// most one tree per thread exists at a time.
    pub(crate) fn reserve_tree(
        &self,
        text: &[u8],
        more: usize,
    ) -> Result<Option<Reservation>, Problem> {
        (text.len() > SMALL_BYTES)
            .then(|| self.budget.reserve_large(json::tree_bytes(text) + more))
            .transpose()
            .map_err(Problem::no_room)
    }

    /// Reserves the memory of an event until its confirm.
    pub(crate) fn kept(&self, event: QueuedEvent) -> Result<QueuedEvent, Problem> {
        let reservation = self.reserve_publish(&event);
        let reservation = reservation.map_err(|p| p.about(Some(event.name.clone())))?;
        let (body, exact) = match event.exact {
            None => (event.body.kept_with(reservation), None),
            Some(exact) => (event.body, Some(exact.kept_with(reservation))),
        };
        Ok(QueuedEvent {
            body,
            exact,
            ..event
        })
    }

    fn reserve_publish(&self, event: &QueuedEvent) -> Result<Reservation, Problem> {
        if event.body.len() > LARGEST_EVENT {
            return Err(Problem::too_large_to_publish(LARGEST_EVENT));
        }
        // The canonical body is in memory, and what is published in the frames that wait to be
        // written to the broker.
        let context = event.propagated.as_deref().map_or(0, Propagated::size);
        let bodies = event.body.len() + event.carried_body().len();
        let needed = bodies + context + PUBLISH_BYTES;
        let reservation = self.budget.reserve_large(needed);
        reservation.map_err(Problem::no_room)
    }

    /// Publishes an event, unless it was published recently, and counts it.
    pub(crate) async fn publish_counted(
        &self,
        queued: QueuedEvent,
        content: Option<ContentHash>,
        warnings: Vec<Fault>,
    ) -> Result<Accepted, Problem> {
        // A new id cannot be a duplicate.
        let published = match content {
            None => self.publish(&queued).await.map(Published::from),
            Some(content) => self.publish_once(&queued, content).await,
        };
        let published =
            published.map_err(|error| Problem::not_published(error, queued.id.clone()))?;
        match published {
            Published::Conflict => return Err(Problem::key_of_another_event()),
            Published::Duplicate => self.metrics.events_duplicate.inc(),
            Published::Unwanted => self.metrics.events_unwanted.inc(),
            Published::Queued => self.metrics.events_accepted.inc(),
        }
        let duplicate = matches!(published, Published::Duplicate);
        if !duplicate {
            self.metrics.event_warnings.inc_by(warnings.len() as u64);
        }
        Ok(Accepted {
            id: queued.id,
            warnings,
            duplicate,
            endpoints: matches!(published, Published::Unwanted).then_some(0),
        })
    }

    /// Publishes unless the same event was published recently. An unwanted
    /// event is not remembered: when it is repeated, an endpoint may want it.
    async fn publish_once(
        &self,
        event: &QueuedEvent,
        content: ContentHash,
    ) -> Result<Published, NotAccepted> {
        let decision = timeout(CONFIRM_LIMIT, self.duplicates.begin(&event.id, content)).await;
        match decision.map_err(|_| PublishError::TimedOut)? {
            Decision::Duplicate => Ok(Published::Duplicate),
            Decision::Conflict => Ok(Published::Conflict),
            Decision::Publish(guard) => {
                if let Some(earlier) = &self.earlier
                    && Box::pin(earlier.has_another(event, content)).await
                {
                    return Ok(Published::Conflict);
                }
                let routed = self.publish(event).await?;
                if routed != RouteOutcome::Unwanted {
                    guard.confirmed();
                }
                Ok(routed.into())
            }
        }
    }

    async fn publish(&self, event: &QueuedEvent) -> Result<RouteOutcome, NotAccepted> {
        let timer = self.metrics.publish_confirm_seconds.start_timer();
        let published = self.hand_over(event).await;
        if published.is_ok() {
            failpoint::pass(Failpoint::Confirmed);
        }
        match published {
            Ok(RouteOutcome::Queued | RouteOutcome::Unwanted) => timer.observe_duration(),
            Ok(RouteOutcome::Spooled) | Err(_) => {
                timer.stop_and_discard();
            }
        }
        published
    }
}

fn rejected(raw: &[u8], rejection: Rejection) -> Problem {
    let is_named = matches!(rejection, Rejection::Invalid(_)) && raw.len() <= SMALL_BYTES;
    let name = is_named.then(|| EventName::in_json(raw)).flatten();
    Problem::rejected(rejection).about(name)
}
