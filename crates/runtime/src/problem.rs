//! Problem documents (RFC 9457), the form of every HTTP error.

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// Media type of problem documents.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Members of every problem; a program may flatten them into a type with more.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// `urn:wahook:problem:…`. Stable, so that clients can branch on it.
    #[serde(rename = "type")]
    kind: String,
    /// Summary, the same text for every problem of this type.
    title: &'static str,
    /// Status code of the response.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Cause of this occurrence, and how to correct it.
    detail: String,
}

impl Problem {
    /// Creates a problem; `name` is the last part of its `type`.
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

    /// Creates the problem of a request that arrives too slowly. `expected` describes
    /// the time limit.
    #[must_use]
    pub fn too_slow(expected: String) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "too-slow",
            "The request took too long",
            expected,
        )
    }

    /// Returns the status code of the response.
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

/// Creates a response with this problem document.
pub fn respond(status: StatusCode, problem: &impl Serialize) -> Response {
    (status, [(CONTENT_TYPE, MEDIA_TYPE)], body(problem)).into_response()
}

/// Serializes the document.
pub(crate) fn body(problem: &impl Serialize) -> Vec<u8> {
    // Strings and numbers always have a JSON form.
    serde_json::to_vec(problem).unwrap_or_default()
}
