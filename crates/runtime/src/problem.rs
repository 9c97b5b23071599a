//! What every refusal over HTTP looks like: a problem document (RFC 9457).

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// The media type of problem documents.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The members that every problem has; a program may flatten it into a type
/// with more.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// `urn:wahook:problem:…`; it never changes, so that programs can branch on it.
    #[serde(rename = "type")]
    kind: String,
    /// What kind of problem it is, the same words every time.
    title: &'static str,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time, and what to do about it.
    detail: String,
}

impl Problem {
    /// `name` is the end of its `type`.
    #[must_use]
    pub fn new(
        status: StatusCode,
        name: &str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind: format!("urn:wahook:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: detail.into(),
        }
    }

    /// The request, or a part of it, came too slowly. `expected` says what had
    /// to be sent by when.
    #[must_use]
    pub fn too_slow(expected: String) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "too-slow",
            "The request took too long",
            expected,
        )
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        respond(self.status(), &self)
    }
}

/// The answer with this problem document.
pub fn respond(status: StatusCode, problem: &impl Serialize) -> Response {
    (status, [(CONTENT_TYPE, MEDIA_TYPE)], body(problem)).into_response()
}

/// The document itself.
pub(crate) fn body(problem: &impl Serialize) -> Vec<u8> {
    // Strings and numbers always have a JSON form.
    serde_json::to_vec(problem).unwrap_or_default()
}
