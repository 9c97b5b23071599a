//! Problem documents for refused events, with a `type` that never changes and a
//! `detail` that a person can act on.

use std::time::Duration;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use wahook_domain::{EventId, EventName, Fault, Rejection};
use wahook_queue::PublishError;
use wahook_runtime::{ops::Refusal, problem};
use wahook_sources::Verification;

use crate::{
    budget::{Exhausted, NoRoom},
    media_type::NDJSON,
    metrics::RefusalReason,
    outlet::NotAccepted,
    sources::Denied,
};

/// Refusal of an event, as an answer of its own or as one line of a batch.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    #[serde(flatten)]
    basics: problem::Problem,
    /// Byte offset of the JSON's fault in the body, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    offset: Option<usize>,
    /// Faults of the event, each with a JSON pointer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, value_type = Vec<FaultSchema>)]
    errors: Vec<Fault>,
    /// Id for repeating the request, as `Idempotency-Key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    id: Option<EventId>,
    #[serde(skip)]
    reason: RefusalReason,
    /// Name of the event, for the log.
    #[serde(skip)]
    event: Option<EventName>,
    /// Response header.
    #[serde(skip)]
    header: Option<(HeaderName, HeaderValue)>,
}

/// Fault of an event.
#[derive(utoipa::ToSchema)]
// Schema of [`Fault`]: the domain does not depend on HTTP.
#[schema(as = Fault)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct FaultSchema {
    /// JSON pointer to the fault (RFC 6901).
    pointer: String,
    /// Description of the fault, such as "must be a string, is null".
    message: String,
}

impl Problem {
    fn new(
        status: StatusCode,
        name: &str,
        title: &'static str,
        detail: impl Into<String>,
        reason: RefusalReason,
    ) -> Self {
        Self::of(problem::Problem::new(status, name, title, detail), reason)
    }

    fn of(basics: problem::Problem, reason: RefusalReason) -> Self {
        Self {
            basics,
            offset: None,
            errors: Vec::new(),
            id: None,
            reason,
            event: None,
            header: None,
        }
    }

    fn with_header(self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        Self {
            header: Some((name, value.into())),
            ..self
        }
    }

    fn with_static_header(self, name: HeaderName, value: &'static str) -> Self {
        self.with_header(name, HeaderValue::from_static(value))
    }

    /// Returns the reason for the metrics.
    #[must_use]
    pub(crate) fn reason(&self) -> RefusalReason {
        self.reason
    }

    /// Returns the cause for the log of refused requests.
    #[must_use]
    pub(crate) fn refusal(&self) -> Refusal {
        let event = self.event.as_ref().map(|name| name.as_str().to_owned());
        Refusal::new(self.reason.label()).with_event(event)
    }

    /// Adds the name of the event.
    #[must_use]
    pub(crate) fn about(self, event: Option<EventName>) -> Self {
        Self { event, ..self }
    }

    /// Returns the status of the answer.
    #[must_use]
    pub(crate) fn status(&self) -> StatusCode {
        self.basics.status()
    }

    /// Returns true if repeating the same request later can succeed.
    #[must_use]
    pub(crate) fn can_be_repeated(&self) -> bool {
        self.status() == StatusCode::SERVICE_UNAVAILABLE
    }

    #[must_use]
    pub(crate) fn without_errors(self) -> Self {
        Self {
            errors: Vec::new(),
            ..self
        }
    }

    /// The event is invalid.
    #[must_use]
    pub(crate) fn rejected(rejection: Rejection) -> Self {
        match rejection {
            Rejection::NotJson(fault) => Self {
                offset: Some(fault.offset),
                ..Self::new(
                    StatusCode::BAD_REQUEST,
                    "not-json",
                    "The body is not JSON",
                    fault.to_string(),
                    RefusalReason::NotJson,
                )
            },
            Rejection::Invalid(errors) => Self {
                errors,
                ..Self::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "invalid-event",
                    "The JSON is not an event",
                    "see errors: each has a JSON pointer and what was expected there",
                    RefusalReason::InvalidEvent,
                )
            },
        }
    }

    /// Neither the broker nor the spool has the event.
    #[must_use]
    pub(crate) fn not_published(error: NotAccepted, id: EventId) -> Self {
        let problem = match error {
            NotAccepted::Broker(error) => Self::not_confirmed(error),
            NotAccepted::SpoolFull => Self::unavailable(
                "spool-full",
                "the broker takes no events now, and the spool is full (PRODUCER_SPOOL_MAX_BYTES)",
                RefusalReason::SpoolFull,
                10,
            ),
            NotAccepted::SpoolUnusable => Self::unavailable(
                "spool-unusable",
                "the broker takes no events now, and the spool can't be written; /readyz has the reason. \
                 Repeat with this id, so that a duplicate is detected",
                RefusalReason::SpoolUnusable,
                10,
            ),
        };
        Self {
            id: Some(id),
            ..problem
        }
    }

    /// The broker has not confirmed the event.
    fn not_confirmed(error: PublishError) -> Self {
        let (name, detail, reason, seconds) = match error {
            PublishError::Disconnected => (
                "broker-unavailable",
                "the broker is not connected; nothing was published",
                RefusalReason::BrokerUnavailable,
                5,
            ),
            PublishError::Interrupted => (
                "broker-unavailable",
                "the connection to the broker was lost before the confirm; repeat with this id, so that a duplicate is detected",
                RefusalReason::ConfirmLost,
                5,
            ),
            PublishError::Blocked => (
                "broker-blocked",
                "the broker accepts no messages (memory or disk alarm); nothing was published",
                RefusalReason::BrokerBlocked,
                10,
            ),
            PublishError::TimedOut | PublishError::Undecided => (
                "no-confirm",
                "the broker did not confirm in time; repeat with this id, so that a duplicate is detected",
                RefusalReason::ConfirmTimeout,
                5,
            ),
            PublishError::Unroutable => (
                "no-endpoint",
                "its queue is missing, or no endpoint is declared yet: start a consumer, which declares its queues",
                RefusalReason::Unroutable,
                5,
            ),
            PublishError::Refused => (
                "broker-refused",
                "the broker refused the event; the broker's log has the reason",
                RefusalReason::BrokerRefused,
                10,
            ),
            PublishError::Busy => (
                "busy",
                "too many events wait for the broker; nothing was published",
                RefusalReason::Busy,
                1,
            ),
        };
        Self::unavailable(name, detail, reason, seconds)
    }

    fn unavailable(
        name: &str,
        detail: &str,
        reason: RefusalReason,
        retry_after_seconds: u16,
    ) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            name,
            "The event was not accepted",
            detail,
            reason,
        )
        .with_header(header::RETRY_AFTER, retry_after_seconds)
    }

    /// Too many requests are in flight.
    #[must_use]
    pub(crate) fn busy() -> Self {
        let detail = "too many requests at once; nothing was published";
        Self::unavailable("busy", detail, RefusalReason::Busy, 1)
    }

    /// The memory budget for bodies is exhausted.
    #[must_use]
    pub(crate) fn no_memory(_: Exhausted) -> Self {
        let detail = "too many bytes at once; nothing was published";
        Self::unavailable("busy", detail, RefusalReason::Busy, 1)
    }

    /// The budget has no room for a large event.
    #[must_use]
    pub(crate) fn no_room(no_room: NoRoom) -> Self {
        match no_room {
            NoRoom::Now(exhausted) => Self::no_memory(exhausted),
            NoRoom::Ever { needed, total } => Self::above(format!(
                "the event needs {needed} bytes of memory while it is accepted, because of its size or its number of values; \
                 the budget is {total} bytes (PRODUCER_MEMORY_BUDGET_BYTES)"
            )),
        }
    }

    /// A source's credentials are missing or wrong.
    #[must_use]
    pub(crate) fn denied(denied: Denied) -> Self {
        let detail = match denied {
            Denied::Token => {
                "send the token of the source, or one of PRODUCER_TOKEN if the source has none: as `Authorization: Bearer`, as the password of \
                 Basic, in `X-Api-Key`, as `?token=`, or as the last segment of the path"
            }
            Denied::Signature(Verification::Missing) => {
                "the source has a secret, but the request has no signature: set the same secret at the gateway"
            }
            Denied::Signature(_) => {
                "the signature does not match the body: compare the secrets of the gateway and the source, \
                 and check that no proxy changes the body"
            }
        };
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "The request is not authenticated",
            detail,
            RefusalReason::Unauthorized,
        )
        .with_static_header(header::WWW_AUTHENTICATE, "Bearer, Basic realm=\"wahook\"")
    }

    /// There is no source of this name.
    #[must_use]
    pub(crate) fn unknown_source() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown-source",
            "There is no such source",
            "post to /v1/in/NAME with the name of a [[source]] in WAHOOK_SOURCES, or without that \
             setting with a kind: wahook, waha, evolution, wwebjs, wppconnect, open-wa, gowa, wuzapi, meta or generic",
            RefusalReason::UnknownSource,
        )
    }

    /// The request is neither a post nor a registration.
    #[must_use]
    pub(crate) fn post_only() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "The method is not supported",
            "send events by POST; GET only registers a webhook at Meta",
            RefusalReason::InvalidEvent,
        )
        .with_static_header(header::ALLOW, "POST")
    }

    /// Meta's verify token is wrong.
    #[must_use]
    pub(crate) fn wrong_verify_token() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "wrong-verify-token",
            "The verify token is wrong",
            "set the source's token, or PRODUCER_TOKEN, as the verify token in Meta's dashboard",
            RefusalReason::Unauthorized,
        )
    }

    /// The request is not what a gateway of the source's kind posts.
    #[must_use]
    pub(crate) fn not_an_event_of_source(refusal: wahook_sources::Refusal) -> Self {
        use wahook_sources::Refusal::{NotAnEvent, NotJson, UnsupportedMediaType};
        match refusal {
            NotJson(fault) => Self::rejected(Rejection::NotJson(fault)),
            NotAnEvent(detail) => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "not-an-event",
                "The body is not an event of this gateway",
                detail,
                RefusalReason::InvalidEvent,
            ),
            UnsupportedMediaType(_) => Self::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The media type is not supported",
                refusal.to_string(),
                RefusalReason::UnsupportedMediaType,
            ),
        }
    }

    /// The token is missing or wrong.
    #[must_use]
    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "A token is needed",
            "send the header `Authorization: Bearer <token>` with a token of PRODUCER_TOKEN",
            RefusalReason::Unauthorized,
        )
        .with_static_header(header::WWW_AUTHENTICATE, "Bearer")
    }

    /// The request may come from a web page of another host.
    #[must_use]
    pub(crate) fn foreign_page(basics: problem::Problem) -> Self {
        Self::of(basics, RefusalReason::ForeignPage)
    }

    /// The body, as received or decompressed, is larger than `limit` bytes.
    #[must_use]
    pub(crate) fn too_large(limit: usize) -> Self {
        Self::above(format!(
            "the body may have at most {limit} bytes, also decompressed (PRODUCER_MAX_BODY_BYTES)"
        ))
    }

    /// The event in its canonical form is larger than `limit` bytes.
    #[must_use]
    pub(crate) fn too_large_to_publish(limit: usize) -> Self {
        Self::above(format!(
            "the event, as JSON.stringify prints it, may have at most {limit} bytes"
        ))
    }

    fn above(detail: String) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The body is too large",
            detail,
            RefusalReason::TooLarge,
        )
    }

    /// The batch has more than `limit` lines.
    #[must_use]
    pub(crate) fn too_many_lines(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-many-lines",
            "The batch has too many lines",
            format!("a batch may have at most {limit} lines; nothing was published"),
            RefusalReason::TooLarge,
        )
    }

    /// The body is neither JSON nor NDJSON.
    #[must_use]
    pub(crate) fn unsupported_media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The media type is not supported",
            format!(
                "send `Content-Type: application/json` for one event or `{NDJSON}` for a batch"
            ),
            RefusalReason::UnsupportedMediaType,
        )
        .with_static_header(header::ACCEPT, "application/json, application/x-ndjson")
    }

    /// The content encoding is not gzip.
    #[must_use]
    pub(crate) fn unsupported_encoding() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-encoding",
            "The content encoding is not supported",
            "send the body without an encoding, or with `Content-Encoding: gzip`",
            RefusalReason::UnsupportedMediaType,
        )
        .with_static_header(header::ACCEPT_ENCODING, "gzip")
    }

    /// The body is not complete gzip, despite its `Content-Encoding`.
    #[must_use]
    pub(crate) fn not_gzip(error: &std::io::Error) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "not-gzip",
            "The body is not gzip",
            format!("the body cannot be decompressed: {error}"),
            RefusalReason::Unreadable,
        )
    }

    /// The body did not arrive within `limit`.
    #[must_use]
    pub(crate) fn too_slow(limit: Duration) -> Self {
        let expected = format!("send the body within {} s", limit.as_secs());
        Self::of(
            problem::Problem::too_slow(expected),
            RefusalReason::Unreadable,
        )
    }

    /// The body is incomplete.
    #[must_use]
    pub(crate) fn unreadable(error: &axum::Error) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "unreadable",
            "The body is incomplete",
            format!("the body ended early: {error}"),
            RefusalReason::Unreadable,
        )
    }

    /// The `Idempotency-Key` is invalid.
    #[must_use]
    pub(crate) fn invalid_idempotency_key(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-idempotency-key",
            "The Idempotency-Key is invalid",
            detail,
            RefusalReason::InvalidIdempotencyKey,
        )
    }

    /// The `X-Webhook-Key` is invalid.
    #[must_use]
    pub(crate) fn invalid_webhook_key(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-webhook-key",
            "The X-Webhook-Key is invalid",
            detail,
            RefusalReason::InvalidWebhookKey,
        )
    }

    /// The `Idempotency-Key` is that of another event.
    #[must_use]
    pub(crate) fn key_of_another_event() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "The Idempotency-Key is that of another event",
            "an event with this key and another content was accepted within the last ten minutes; \
             nothing was published: use one key for one event, and repeat an event unchanged",
            RefusalReason::InvalidIdempotencyKey,
        )
    }

    /// Adds the response header: the time to wait before a repeat, or the
    /// supported values.
    pub(crate) fn add_header(self, response: &mut Response) {
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = problem::respond(self.basics.status(), &self);
        if !self.can_be_repeated() {
            response.extensions_mut().insert(self.refusal());
        }
        self.add_header(&mut response);
        response
    }
}
