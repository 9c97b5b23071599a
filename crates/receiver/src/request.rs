//! One request as it came, and what it says of itself.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use wahook_domain::{UnixMillis, json};

/// A request to any path but the page's own.
#[derive(Debug)]
pub struct Request {
    /// When all of it was there.
    pub arrived: UnixMillis,
    /// Any.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// In the order in which their names came first.
    pub headers: HeaderMap,
    /// Empty where it could not be taken whole.
    pub body: Bytes,
    /// Why the body could not be taken whole.
    pub cut: Option<Cut>,
}

/// Why a body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// More than is taken of any request.
    #[error("the body is larger than the 15 MiB that are taken here; none of it was kept")]
    TooLarge,
    /// The sender left.
    #[error("the connection broke before the end of the body; none of it was kept")]
    BrokenOff,
    /// The sender waits for something.
    #[error("the body did not come within 30 s; none of it was kept")]
    TooSlow,
}

/// What a request says of itself: for the list, to be taken with care.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    /// `X-Webhook-Event`, else the body's `event`.
    pub event: Option<String>,
    /// `webhook-id`, the same on every attempt.
    pub id: Option<String>,
    /// `X-Webhook-Attempt`, from 1.
    pub attempt: Option<u32>,
}

/// More of a text would not be read in a list.
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

    /// What keeping it costs.
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
        // It may be printed on a terminal, where controls would be obeyed.
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
    fn the_headers_tell_event_id_and_attempt() {
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
    fn a_foreign_request_may_claim_nothing_or_its_body_the_event() {
        assert_eq!(request(&[], "hello").claims(), Claims::default());
        assert_eq!(request(&[], r#"{"event":1}"#).claims(), Claims::default());
        let claims = request(&[("x-webhook-attempt", "-1")], r#"{"event":"ready"}"#).claims();
        assert_eq!(claims.event.as_deref(), Some("ready"));
        assert_eq!(claims.attempt, None);
        let claims = request(&[], r#"{"event":"a\u001b[31m\u0007b"}"#).claims();
        assert_eq!(claims.event.as_deref(), Some("a[31mb"));
    }
}
