//! What is answered when an event is not taken: problem documents (RFC 9457)
//! with a `type` that never changes and a `detail` that a person can act on.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use wahook_domain::{EventId, Fault, Rejection};
use wahook_queue::PublishError;
use wahook_service::metrics::RefusalReason;

/// A refusal, ready to be answered alone or as one line of a batch.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Problem {
    /// `urn:wahook:problem:…`; stable.
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// Where in the body the JSON goes wrong, in bytes from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
    /// What is wrong with the event, each with a JSON pointer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
    /// The id to repeat the request with, as `Idempotency-Key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<EventId>,
    #[serde(skip)]
    reason: Option<RefusalReason>,
    #[serde(skip)]
    retry_after_seconds: Option<u16>,
}

impl Problem {
    fn new(
        status: StatusCode,
        name: &str,
        title: &'static str,
        detail: impl Into<String>,
        reason: impl Into<Option<RefusalReason>>,
    ) -> Self {
        Self {
            kind: format!("urn:wahook:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
            offset: None,
            errors: Vec::new(),
            id: None,
            reason: reason.into(),
            retry_after_seconds: None,
        }
    }

    /// What it counts as, where an event was refused.
    #[must_use]
    pub(crate) fn reason(&self) -> Option<RefusalReason> {
        self.reason
    }

    /// Whether repeating the same request later can succeed.
    #[must_use]
    pub(crate) fn can_be_repeated(&self) -> bool {
        self.retry_after_seconds.is_some()
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
                "no endpoint takes events yet: start a consumer once, so that it declares its queues",
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
            retry_after_seconds: Some(seconds),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                name,
                "The event was not taken",
                detail,
                reason,
            )
        }
    }

    /// Too many requests are being answered.
    #[must_use]
    pub(crate) fn busy() -> Self {
        Self {
            retry_after_seconds: Some(1),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "The event was not taken",
                "too many requests at once; nothing was published",
                RefusalReason::Busy,
            )
        }
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
    }

    /// The body is larger than `limit` bytes.
    #[must_use]
    pub(crate) fn too_large(limit: usize) -> Self {
        let detail = format!("the body may have {limit} bytes (PRODUCER_MAX_BODY_BYTES)");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The body is too large",
            detail,
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
            "send `Content-Type: application/json` for one event or `application/x-ndjson` for a batch, unencoded",
            RefusalReason::UnsupportedMediaType,
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

    /// A path or method that is not there.
    #[must_use]
    pub(crate) fn not_found(status: StatusCode) -> Self {
        Self::new(
            status,
            "not-found",
            "There is nothing here",
            "events are taken by POST /v1/events",
            None,
        )
    }

    /// Adds `Retry-After` where a repeat can help.
    pub(crate) fn add_headers(&self, response: &mut Response) {
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED.as_u16() {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        const PROBLEM: (HeaderName, &str) = (header::CONTENT_TYPE, "application/problem+json");
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Strings and numbers always have a JSON form.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, [PROBLEM], body).into_response();
        self.add_headers(&mut response);
        response
    }
}
