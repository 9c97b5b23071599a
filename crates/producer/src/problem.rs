//! What is answered when an event is not taken: problem documents with a `type`
//! that never changes and a `detail` that a person can act on.

use std::time::Duration;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use wahook_domain::{EventId, Fault, Rejection};
use wahook_queue::PublishError;
use wahook_runtime::{metrics::RefusalReason, problem};

use crate::{budget::Exhausted, headers::NDJSON};

/// A refusal, ready to be answered alone or as one line of a batch.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    #[serde(flatten)]
    basics: problem::Problem,
    /// Where in the body the JSON goes wrong, in bytes from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    offset: Option<usize>,
    /// What is wrong with the event, each with a JSON pointer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, value_type = Vec<FaultSchema>)]
    errors: Vec<Fault>,
    /// The id to repeat the request with, as `Idempotency-Key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    id: Option<EventId>,
    #[serde(skip)]
    reason: RefusalReason,
    /// What the answer's headers say of it.
    #[serde(skip)]
    header: Option<(HeaderName, HeaderValue)>,
}

/// [`Fault`] as OpenAPI describes it; the domain knows nothing of HTTP.
#[derive(utoipa::ToSchema)]
#[schema(as = Fault)]
#[expect(dead_code, reason = "only its description is used")]
pub(crate) struct FaultSchema {
    /// Where: a JSON pointer (RFC 6901).
    pointer: String,
    /// What: "must be a string, is null".
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

    /// What it counts as.
    #[must_use]
    pub(crate) fn reason(&self) -> RefusalReason {
        self.reason
    }

    /// Whether repeating the same request later can succeed.
    #[must_use]
    pub(crate) fn can_be_repeated(&self) -> bool {
        self.basics.status() == StatusCode::SERVICE_UNAVAILABLE
    }

    #[must_use]
    pub(crate) fn without_errors(self) -> Self {
        Self {
            errors: Vec::new(),
            ..self
        }
    }

    /// The event can't be taken as it is.
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

    /// The broker has not confirmed the event.
    #[must_use]
    pub(crate) fn not_published(error: PublishError, id: EventId) -> Self {
        let (name, detail, reason, seconds) = match error {
            PublishError::Disconnected => (
                "broker-unavailable",
                "the broker is not connected; nothing was published",
                RefusalReason::BrokerUnavailable,
                5,
            ),
            PublishError::Interrupted => (
                "broker-unavailable",
                "the broker was lost before it confirmed; repeat with this id, so that a duplicate can be told",
                RefusalReason::ConfirmLost,
                5,
            ),
            PublishError::Blocked => (
                "broker-blocked",
                "the broker takes no messages (memory or disk alarm); nothing was published",
                RefusalReason::BrokerBlocked,
                10,
            ),
            PublishError::TimedOut => (
                "no-confirm",
                "the broker did not confirm in time; repeat with this id, so that a duplicate can be told",
                RefusalReason::ConfirmTimeout,
                5,
            ),
            PublishError::Unroutable => (
                "no-endpoint",
                "its queue is missing, or no endpoint takes events yet: start a consumer, which declares its queues",
                RefusalReason::Unroutable,
                5,
            ),
            PublishError::Refused => (
                "broker-refused",
                "the broker refused the event; its log says why",
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
        Self {
            id: Some(id),
            ..Self::unavailable(name, detail, reason, seconds)
        }
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
            "The event was not taken",
            detail,
            reason,
        )
        .with_header(header::RETRY_AFTER, retry_after_seconds)
    }

    /// Too many requests are being answered.
    #[must_use]
    pub(crate) fn busy() -> Self {
        let detail = "too many requests at once; nothing was published";
        Self::unavailable("busy", detail, RefusalReason::Busy, 1)
    }

    /// The bodies that are here already take all the memory that they may.
    #[must_use]
    pub(crate) fn no_memory(_: Exhausted) -> Self {
        let detail = "too many bytes at once; nothing was published";
        Self::unavailable("busy", detail, RefusalReason::Busy, 1)
    }

    /// No token, or not one of ours.
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

    /// The body, as it came or unpacked, is larger than `limit` bytes.
    #[must_use]
    pub(crate) fn too_large(limit: usize) -> Self {
        Self::above(format!(
            "the body may have {limit} bytes, also unpacked (PRODUCER_MAX_BODY_BYTES)"
        ))
    }

    /// The event in its canonical form is larger than `limit` bytes.
    #[must_use]
    pub(crate) fn too_large_to_publish(limit: usize) -> Self {
        Self::above(format!(
            "the event, as JSON.stringify prints it, may have {limit} bytes"
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
            format!("a batch may have {limit} lines; nothing was published"),
            RefusalReason::TooLarge,
        )
    }

    /// Neither JSON nor NDJSON.
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

    /// Packed, but not by gzip.
    #[must_use]
    pub(crate) fn unsupported_encoding() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-encoding",
            "The content encoding is not supported",
            "send the body as it is, or with `Content-Encoding: gzip`",
            RefusalReason::UnsupportedMediaType,
        )
        .with_static_header(header::ACCEPT_ENCODING, "gzip")
    }

    /// `Content-Encoding` says gzip, but the body is none, or not whole.
    #[must_use]
    pub(crate) fn not_gzip(error: &std::io::Error) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "not-gzip",
            "The body is not gzip",
            format!("the body can't be unpacked: {error}"),
            RefusalReason::Unreadable,
        )
    }

    /// The body was not here within `limit`.
    #[must_use]
    pub(crate) fn too_slow(limit: Duration) -> Self {
        let expected = format!("send the body within {} s", limit.as_secs());
        Self::of(
            problem::Problem::too_slow(expected),
            RefusalReason::Unreadable,
        )
    }

    /// The body did not arrive whole.
    #[must_use]
    pub(crate) fn unreadable(error: &axum::Error) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "unreadable",
            "The body did not arrive whole",
            format!("the body broke off: {error}"),
            RefusalReason::Unreadable,
        )
    }

    /// The `Idempotency-Key` can't be used.
    #[must_use]
    pub(crate) fn invalid_idempotency_key(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-idempotency-key",
            "The Idempotency-Key can't be used",
            detail,
            RefusalReason::InvalidIdempotencyKey,
        )
    }

    /// Adds what the headers say of it: when a repeat can help, or what to send
    /// instead.
    pub(crate) fn add_header(self, response: &mut Response) {
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = problem::respond(self.basics.status(), &self);
        self.add_header(&mut response);
        response
    }
}
