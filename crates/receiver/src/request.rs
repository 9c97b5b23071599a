//! Request as received, and the values that it claims.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use wahook_domain::{UnixMillis, json};

/// Request to any path except the page's own.
#[derive(Debug)]
pub struct Request {
    /// Time at which it was complete.
    pub arrived: UnixMillis,
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Headers, in the order in which their names first occur.
    pub headers: HeaderMap,
    /// Body; empty if it could not be read completely.
    pub body: Bytes,
    /// Reason why the body is missing.
    pub cut: Option<Cut>,
}

/// Reason why a body is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    #[error("the body is larger than the limit of 15 MiB; none of it was kept")]
    TooLarge,
    #[error("the connection broke before the end of the body; none of it was kept")]
    BrokenOff,
    #[error("the body did not arrive within 30 s; none of it was kept")]
    TooSlow,
}

/// Values that a request claims, not verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    /// `X-Webhook-Event`, else the body's `event`.
    pub event: Option<String>,
    /// `webhook-id`, the same on every attempt.
    pub id: Option<String>,
    /// `X-Webhook-Attempt`, from 1.
    pub attempt: Option<u32>,
}

/// Limit for a claimed text.
const CLAIM_CHARS: usize = 200;

impl Request {
    pub(crate) fn claims(&self) -> Claims {
        let header = |name| {
            let value = self.headers.get(name)?.to_str().ok()?;
            (!value.is_empty()).then(|| value.chars().take(CLAIM_CHARS).collect::<String>())
        };
        Claims {
            event: header("x-webhook-event").or_else(|| event_in(&self.body)),
            id: header("webhook-id"),
            attempt: header("x-webhook-attempt").and_then(|number| number.parse().ok()),
        }
    }

    /// Returns the size in memory.
    pub(crate) fn bytes(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        self.target.len() + headers + self.body.len()
    }
}

fn event_in(body: &[u8]) -> Option<String> {
    let json::Node::Object(members) = json::parse(body).ok()? else {
        return None;
    };
    match members.get("event")? {
        // A terminal would interpret control characters.
        json::Node::Text(text) => {
            let text = text.to_str().0;
            let shown = text.chars().filter(|c| !c.is_control());
            Some(shown.take(CLAIM_CHARS).collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&'static str, &'static str)], body: &'static str) -> Request {
        let pairs = headers.iter().map(|(name, value)| {
            (
                name.parse::<axum::http::HeaderName>().unwrap(),
                value.parse().unwrap(),
            )
        });
        Request {
            arrived: UnixMillis::new(0),
            method: Method::POST,
            target: "/".to_owned(),
            headers: pairs.collect(),
            body: Bytes::from_static(body.as_bytes()),
            cut: None,
        }
    }

    #[test]
    fn event_id_and_attempt_are_read_from_the_headers() {
        let headers = [
            ("x-webhook-event", "call"),
            ("webhook-id", "evt_1"),
            ("x-webhook-attempt", "2"),
        ];
        let claims = request(&headers, r#"{"event":"ready"}"#).claims();
        assert_eq!(claims.event.as_deref(), Some("call"));
        assert_eq!(claims.id.as_deref(), Some("evt_1"));
        assert_eq!(claims.attempt, Some(2));
    }

    #[test]
    fn event_is_read_from_the_body_if_the_header_is_missing() {
        assert_eq!(request(&[], "hello").claims(), Claims::default());
        assert_eq!(request(&[], r#"{"event":1}"#).claims(), Claims::default());
        let claims = request(&[("x-webhook-attempt", "-1")], r#"{"event":"ready"}"#).claims();
        assert_eq!(claims.event.as_deref(), Some("ready"));
        assert_eq!(claims.attempt, None);
        let claims = request(&[], r#"{"event":"a\u001b[31m\u0007b"}"#).claims();
        assert_eq!(claims.event.as_deref(), Some("a[31mb"));
    }
}
