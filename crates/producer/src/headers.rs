//! What do a request's headers say?

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use wahook_domain::EventId;

use crate::problem::Problem;

/// The media type of a batch.
pub(crate) const NDJSON: &str = "application/x-ndjson";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What the body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One event.
    Json,
    /// A batch.
    Ndjson,
}

impl Format {
    /// A request without a media type is taken for JSON, which every gateway
    /// sends.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
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

/// How the body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
}

impl Encoding {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
        let (first, second) = (encodings.next(), encodings.next());
        match (first.map(HeaderValue::to_str), second) {
            (None, _) => Ok(Self::Identity),
            (Some(Ok(one)), None) if one.trim().eq_ignore_ascii_case("gzip") => Ok(Self::Gzip),
            _ => Err(Problem::unsupported_encoding()),
        }
    }
}

/// The id that the gateway gives the event, where it gives one.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    if keys.next().is_some() {
        return Err(Problem::invalid_idempotency_key("there must be only one"));
    }
    let key = EventId::parse(key.to_str().unwrap_or_default());
    key.map(Some)
        .map_err(|error| Problem::invalid_idempotency_key(error.to_string()))
}

/// The trace that the request belongs to, where it names one in the form of
/// W3C Trace Context.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("traceparent")?.to_str().ok()?;
    let well_formed =
        value.len() == 55 && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    well_formed.then(|| value.to_owned())
}
