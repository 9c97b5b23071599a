//! Answers to requests that the console refuses or can't fulfil.

use std::{fmt, time::Duration};

use axum::{
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use wahook_delivery_log::LogUnavailable;
use wahook_runtime::problem::Problem;

use crate::query::InvalidQuery;

/// Problem document, with a header of its own.
#[derive(Debug)]
pub(crate) struct Failure {
    problem: Problem,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Failure {
    pub(crate) fn new(
        status: StatusCode,
        name: &str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Problem::new(status, name, title, detail).into()
    }

    /// The request has no valid credentials.
    pub(crate) fn unauthorized() -> Self {
        let detail = "log in by POST /api/v1/session, or send the header `Authorization: Bearer \
            <token>`, with a token of CONSOLE_TOKEN or CONSOLE_READ_TOKEN";
        let title = "A token is needed";
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", title, detail);
        Self {
            problem,
            header: Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
        }
    }

    /// The client has only read access.
    pub(crate) fn read_only() -> Self {
        let title = "The token can only read";
        let detail = "use a token of CONSOLE_TOKEN for actions";
        Self::new(StatusCode::FORBIDDEN, "read-only", title, detail)
    }

    /// The client has sent too many wrong tokens.
    pub(crate) fn too_many_attempts(wait: Duration) -> Self {
        let seconds = wait.as_secs().max(1);
        let title = "Too many wrong tokens";
        let detail = format!("wait {seconds} s, then use the right token");
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self {
            problem: Problem::new(status, "too-many-attempts", title, detail),
            header: Some((header::RETRY_AFTER, HeaderValue::from(seconds))),
        }
    }

    /// The body of an action is not JSON by its media type.
    pub(crate) fn not_json() -> Self {
        let title = "The media type is not supported";
        let detail = "send `Content-Type: application/json`";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, "unsupported-media-type", title, detail)
    }

    /// The log can't answer.
    pub(crate) fn log(error: &LogUnavailable) -> Self {
        let (name, title) = match error {
            LogUnavailable::TooSlow(_) => ("too-slow-search", "The search took too long"),
            _ => ("log-unavailable", "The delivery log is unavailable"),
        };
        tracing::warn!(%error, "console: the delivery log could not be read");
        Self::unavailable(name, title, error.to_string())
    }

    /// The broker can't answer.
    pub(crate) fn broker(error: impl fmt::Display) -> Self {
        tracing::warn!(%error, "console: the broker could not be reached");
        let title = "The broker is unavailable";
        Self::unavailable("broker-unavailable", title, error.to_string())
    }

    /// Something was not erased.
    pub(crate) fn erasure(error: &anyhow::Error) -> Self {
        let error = format!("{error:#}");
        tracing::warn!(error, "console: erasure did not end");
        let title = "Not everything was erased";
        Self::unavailable("not-erased", title, format!("{error}; repeat the request"))
    }

    /// The console has too much to do.
    pub(crate) fn busy(detail: &'static str) -> Self {
        Self::unavailable("busy", "The console is busy", detail)
    }

    fn unavailable(name: &str, title: &'static str, detail: impl Into<String>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self {
            problem: Problem::new(status, name, title, detail),
            header: Some((header::RETRY_AFTER, HeaderValue::from_static("5"))),
        }
    }

    /// The body did not arrive within the limit. The rest of it is not read, so the
    /// connection can't be used again.
    pub(crate) fn too_slow(within: Duration) -> Self {
        let expected = format!("send the body within {} s", within.as_secs());
        Self {
            problem: Problem::too_slow(expected),
            header: Some((header::CONNECTION, HeaderValue::from_static("close"))),
        }
    }

    /// The body has more than `limit` bytes.
    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The body is too large",
            format!("send at most {limit} bytes"),
        )
    }

    /// The body or the query is invalid.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        let title = "The request is invalid";
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", title, detail)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            header: None,
        }
    }
}

impl From<QueryRejection> for Failure {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid(rejection.body_text())
    }
}

impl From<JsonRejection> for Failure {
    fn from(rejection: JsonRejection) -> Self {
        Self::invalid(rejection.body_text())
    }
}

impl From<PathRejection> for Failure {
    fn from(rejection: PathRejection) -> Self {
        Self::invalid(rejection.body_text())
    }
}

impl From<InvalidQuery> for Failure {
    fn from(invalid: InvalidQuery) -> Self {
        Self::invalid(invalid.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.problem.into_response();
        response.headers_mut().extend(self.header);
        response
    }
}
