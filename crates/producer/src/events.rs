//! `POST /v1/events`: one event or a batch, answered only after the broker's
//! confirm.

use axum::{
    Json,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::Semaphore;
use uuid::Uuid;
use wahook_domain::{AttemptNumber, EventId, Fault, Ingest, QueuedEvent, Validation, ingest};
use wahook_queue::{Outgoing, Publisher};
use wahook_service::{
    clock,
    metrics::{Occupied, ProducerMetrics},
};

use crate::{problem::Problem, token::Tokens};

/// Requests that may be answered at once; more are told to come back, so that
/// memory stays bounded.
pub(crate) const MAX_IN_FLIGHT: usize = 1024;
/// Lines of one batch that wait for their confirms at once.
const BATCH_WINDOW: usize = 256;

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
}

/// The answer to one event that was taken.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Accepted {
    id: EventId,
    warnings: Vec<Fault>,
}

/// One line of the answer to a batch.
#[derive(Serialize)]
#[serde(untagged)]
enum LineAnswer {
    Accepted {
        status: u16,
        #[serde(flatten)]
        accepted: Accepted,
    },
    Refused(Problem),
}

/// Takes one event or a batch.
pub(crate) async fn post(
    State(intake): State<Arc<Intake>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answer = intake.answer(&headers, body).await;
    answer.unwrap_or_else(|problem| {
        intake.count(&problem);
        problem.into_response()
    })
}

impl Intake {
    async fn answer(&self, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
        if !self.tokens.allow(headers) {
            return Err(Problem::unauthorized());
        }
        let format = Format::of(headers)?;
        let key = idempotency_key(headers)?;
        let _permit = self.permits.try_acquire().map_err(|_| Problem::busy())?;
        let _in_flight = Occupied::new(&self.metrics.requests_in_flight);
        let body = self.read(headers, body).await?;
        let traceparent = traceparent(headers);
        match format {
            Format::Json => {
                let accepted = self.take(body, key, traceparent).await?;
                Ok((StatusCode::ACCEPTED, Json(accepted)).into_response())
            }
            Format::Ndjson if key.is_some() => Err(Problem::invalid_idempotency_key(
                "it names one event; leave it out of a batch",
            )),
            Format::Ndjson => {
                self.metrics.batches.inc();
                Ok(self.batch(&body, traceparent).await)
            }
        }
    }

    fn count(&self, problem: &Problem) {
        if let Some(reason) = problem.reason() {
            self.metrics.events_refused(reason).inc();
        }
    }

    /// Reads the body, no further than the limit.
    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
        let limit = self.max_body_bytes;
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(Problem::too_large(limit));
        }
        axum::body::to_bytes(body, limit).await.map_err(|error| {
            let source = std::error::Error::source(&error);
            if source.is_some_and(|e| e.is::<http_body_util::LengthLimitError>()) {
                Problem::too_large(limit)
            } else {
                Problem::unreadable(&error)
            }
        })
    }

    /// Takes one event; it is counted here when it is taken, and by the caller
    /// when it is refused.
    async fn take(
        &self,
        raw: Bytes,
        idempotency_key: Option<EventId>,
        traceparent: Option<String>,
    ) -> Result<Accepted, Problem> {
        let now = clock::now();
        let context = Ingest {
            validation: self.validation,
            now,
            idempotency_key,
        };
        let event = ingest(&raw, context, fresh_id).map_err(Problem::rejected)?;
        let queued = QueuedEvent {
            id: event.id.clone(),
            name: event.name,
            body: event.body,
            attempt: AttemptNumber::FIRST,
            accepted_at: now,
            redriven_at: None,
            traceparent,
        };
        let timer = self.metrics.publish_confirm_seconds.start_timer();
        match self.publisher.publish(Outgoing::event(&queued)).await {
            Ok(()) => timer.observe_duration(),
            Err(error) => {
                timer.stop_and_discard();
                return Err(Problem::not_published(error, event.id));
            }
        }
        self.metrics.events_accepted.inc();
        self.metrics
            .event_warnings
            .inc_by(event.warnings.len() as u64);
        Ok(Accepted {
            id: event.id,
            warnings: event.warnings,
        })
    }

    /// Takes each line by itself and answers in their order. The answer's own
    /// status tells a gateway what to do without reading it: 202 all are taken;
    /// 503 some can be had by repeating; 207 some are wrong.
    async fn batch(&self, body: &Bytes, traceparent: Option<String>) -> Response {
        let answers = stream::iter(lines(body))
            .map(|line| self.take(line, None, traceparent.clone()))
            .buffered(BATCH_WINDOW);
        let mut answers = std::pin::pin!(answers);
        let mut text = Vec::new();
        let (mut refused, mut repeatable) = (false, None);
        while let Some(answer) = answers.next().await {
            let line = match answer {
                Ok(accepted) => {
                    let status = StatusCode::ACCEPTED.as_u16();
                    LineAnswer::Accepted { status, accepted }
                }
                Err(problem) => {
                    self.count(&problem);
                    refused = true;
                    if problem.can_be_repeated() {
                        repeatable = Some(problem.clone());
                    }
                    LineAnswer::Refused(problem)
                }
            };
            // Strings and numbers always have a JSON form.
            text.extend(serde_json::to_vec(&line).unwrap_or_default());
            text.push(b'\n');
        }
        let status = match (&repeatable, refused) {
            (Some(_), _) => StatusCode::SERVICE_UNAVAILABLE,
            (None, true) => StatusCode::MULTI_STATUS,
            (None, false) => StatusCode::ACCEPTED,
        };
        let mut response = (status, [(header::CONTENT_TYPE, NDJSON)], text).into_response();
        if let Some(problem) = repeatable {
            problem.add_headers(&mut response);
        }
        response
    }
}

/// The lines that are not blank, sharing the body's memory.
fn lines(body: &Bytes) -> Vec<Bytes> {
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines
        .filter(|line| !line.is_empty())
        .map(|line| body.slice_ref(line))
        .collect()
}

const NDJSON: &str = "application/x-ndjson";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Ndjson,
}

impl Format {
    /// A request without a media type is taken for JSON, which every gateway
    /// sends.
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Problem::unsupported_media_type());
        }
        let Some(value) = headers.get(header::CONTENT_TYPE) else {
            return Ok(Self::Json);
        };
        let text = value.to_str().unwrap_or_default();
        let essence = text.split(';').next().unwrap_or_default().trim();
        match essence.to_ascii_lowercase().as_str() {
            "application/json" => Ok(Self::Json),
            NDJSON => Ok(Self::Ndjson),
            _ => Err(Problem::unsupported_media_type()),
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    headers
        .get("idempotency-key")
        .map(|value| {
            let text = value.to_str().unwrap_or_default();
            EventId::parse(text)
                .map_err(|error| Problem::invalid_idempotency_key(error.to_string()))
        })
        .transpose()
}

/// The trace that the request belongs to, where it names one in the form of
/// W3C Trace Context.
fn traceparent(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("traceparent")?.to_str().ok()?;
    let well_formed =
        value.len() == 55 && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    well_formed.then(|| value.to_owned())
}

fn fresh_id() -> EventId {
    EventId::from(Uuid::now_v7())
}

/// Anything but `POST /v1/events`.
pub(crate) async fn nothing_here() -> Problem {
    Problem::not_found(StatusCode::NOT_FOUND)
}

/// `/v1/events` with another method.
pub(crate) async fn only_post() -> Response {
    let mut response = Problem::not_found(StatusCode::METHOD_NOT_ALLOWED).into_response();
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}
