//! Request headers: media type, encoding, idempotency key and trace.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use wahook_domain::EventId;

use crate::problem::Problem;

/// Media type of a batch.
pub(crate) const NDJSON: &str = "application/x-ndjson";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Content of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Single event.
    Json,
    /// Batch of events, one a line.
    Ndjson,
}

impl Format {
    /// Reads the media type. Without one, the body is JSON, unless the type is
    /// `required`: a web page of another host can send a request without a type, or with
    /// the type of a form, but not with the types of this API.
    pub(crate) fn of(headers: &HeaderMap, required: bool) -> Result<Self, Problem> {
        let value = match headers.get(header::CONTENT_TYPE) {
            Some(value) => value,
            None if required => return Err(Problem::unsupported_media_type()),
            None => return Ok(Self::Json),
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

/// Content encoding of the body.
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

/// Returns the event's id, if the gateway sets one.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<EventId>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    if keys.next().is_some() {
        return Err(Problem::invalid_idempotency_key("send it only once"));
    }
    let key = EventId::parse(key.to_str().unwrap_or_default());
    key.map(Some)
        .map_err(|error| Problem::invalid_idempotency_key(error.to_string()))
}

/// Returns the request's trace, if it has the form of W3C Trace Context.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("traceparent")?.to_str().ok()?;
    let well_formed =
        value.len() == 55 && value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    well_formed.then(|| value.to_owned())
}
