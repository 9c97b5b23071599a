//! Request headers: media type, encoding, idempotency key, order key and context of a trace.

mod trace;

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use wahook_domain::{EventId, OrderKey, Propagated};

use crate::{media_type::NDJSON, problem::Problem};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const WEBHOOK_KEY: HeaderName = HeaderName::from_static("x-webhook-key");

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
        if essence.eq_ignore_ascii_case("application/json") {
            Ok(Self::Json)
        } else if essence.eq_ignore_ascii_case(NDJSON) {
            Ok(Self::Ndjson)
        } else {
            Err(Problem::unsupported_media_type())
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
    let key = only(headers, IDEMPOTENCY_KEY).map_err(Problem::invalid_idempotency_key)?;
    key.map(EventId::for_key)
        .transpose()
        .map_err(|error| Problem::invalid_idempotency_key(error.to_string()))
}

/// Headers that apply to every event of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventHeaders {
    /// Key that the sender gives to the events, in place of their chats.
    pub(crate) order_key: Option<OrderKey>,
    pub(crate) traceparent: Option<String>,
    pub(crate) propagated: Option<Arc<Propagated>>,
}

impl EventHeaders {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let traceparent = trace::traceparent(headers);
        Ok(Self {
            order_key: order_key(headers)?,
            propagated: trace::propagated(headers, traceparent.is_some()),
            traceparent,
        })
    }
}

fn order_key(headers: &HeaderMap) -> Result<Option<OrderKey>, Problem> {
    let key = only(headers, WEBHOOK_KEY).map_err(Problem::invalid_webhook_key)?;
    key.map(OrderKey::sent)
        .transpose()
        .map_err(|error| Problem::invalid_webhook_key(error.to_string()))
}

/// Returns the value of a header, empty if it is not ASCII; an error if it is sent twice.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err("send it only once"),
        (value, None) => Ok(value.map(|value| value.to_str().unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[&str]) -> Result<Option<String>, String> {
        let values = values.iter().map(|value| HeaderValue::from_str(value));
        let headers: HeaderMap = values.map(|value| (WEBHOOK_KEY, value.unwrap())).collect();
        let key = order_key(&headers).map_err(|problem| problem.reason().label().to_owned());
        key.map(|key| key.map(|key| key.to_string()))
    }

    #[test]
    fn webhook_key_is_optional_and_an_invalid_or_repeated_one_refused() {
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&["order-7"]), Ok(Some("k:order-7".to_owned())));
        for bad in [&["a b"][..], &[""], &["ä"], &["a", "a"]] {
            assert_eq!(key(bad), Err("invalid_webhook_key".to_owned()), "{bad:?}");
        }
    }
}

#[cfg(test)]
mod hostile;
