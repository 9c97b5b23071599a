//! Event bodies: fixed once, then queued, signed and sent unchanged.

use std::{fmt, str::FromStr};

use bytes::Bytes;

use crate::json::{self, JsonFault, Node};

/// Largest event, in bytes: RabbitMQ 4 accepts messages of 16 MiB, including
/// their properties.
pub const LARGEST_EVENT: usize = 15 << 20;

/// Body of an event: canonical JSON, an object with `event`, `data` and `timestamp`; or what
/// a gateway posted, unchanged ([`Origin::received`](crate::Origin::received)).
///
/// Receivers verify a signature over the output of their own JSON parser and
/// printer, so nothing after [`ingest`](crate::ingest) may print the body again.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EventBody(Bytes);

impl EventBody {
    /// Validates a body that was canonical when it was queued. The body is parsed
    /// but not printed again: the accepted bytes are the delivered bytes.
    ///
    /// # Errors
    /// When the bytes are not JSON or not an event.
    pub fn check(bytes: Bytes) -> Result<Self, BodyFault> {
        let Node::Object(members) = json::parse_outline(&bytes)? else {
            return Err(BodyFault::NotAnObject);
        };
        // These names have no character to escape.
        if !matches!(members.by_form("event"), Some(Node::Text(_))) {
            return Err(BodyFault::Member("event", "a string"));
        }
        if !matches!(members.by_form("data"), Some(Node::Object(_))) {
            return Err(BodyFault::Member("data", "an object"));
        }
        if !matches!(
            members.by_form("timestamp"),
            Some(Node::Text(_) | Node::Number(_))
        ) {
            return Err(BodyFault::Member("timestamp", "a string or a number"));
        }
        Ok(Self(bytes))
    }

    /// Keeps what a gateway posted.
    #[must_use]
    pub fn as_received(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Prints an event that `ingest` has ordered and validated.
    pub(crate) fn of(event: &Node<'_>, size_hint: usize) -> Self {
        let mut bytes = Vec::with_capacity(size_hint);
        json::print(event, &mut bytes);
        Self(Bytes::from(bytes))
    }

    /// Returns the body as JSON. [`Node::Null`] only if a gateway posted something else.
    #[must_use]
    pub fn parse(&self) -> Node<'_> {
        json::parse(&self.0).unwrap_or(Node::Null)
    }

    /// Returns the bytes to sign and send.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the same bytes, shared, not copied.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// Returns the same body; `guard` is dropped together with the last reference
    /// to its bytes. For memory accounting.
    #[must_use]
    pub fn kept_with(self, guard: impl Send + 'static) -> Self {
        Self(Bytes::from_owner(GuardedBytes {
            bytes: self.0,
            _guard: guard,
        }))
    }

    /// Returns the length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no canonical body is empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Form in which an endpoint receives bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyForm {
    /// Output of `JSON.stringify(JSON.parse(body))`.
    #[default]
    Canonical,
    /// Bytes as the gateway sent them, where they were kept.
    Exact,
}

impl FromStr for BodyForm {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "canonical" => Ok(Self::Canonical),
            "exact" => Ok(Self::Exact),
            _ => Err("unknown value"),
        }
    }
}

impl fmt::Display for BodyForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Canonical => "canonical",
            Self::Exact => "exact",
        })
    }
}

struct GuardedBytes<G> {
    bytes: Bytes,
    _guard: G,
}

impl<G> AsRef<[u8]> for GuardedBytes<G> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Shows only the size: bodies are private messages and must not appear in logs.
impl fmt::Debug for EventBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventBody({} bytes)", self.len())
    }
}

/// Reason why bytes are not an event's body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    #[error("not JSON: {0}")]
    NotJson(#[from] JsonFault),
    /// JSON, but not an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// Member that is missing or of another type: its name and the expected type.
    #[error("member {0:?} is not {1}")]
    Member(&'static str, &'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &'static str) -> Result<EventBody, BodyFault> {
        EventBody::check(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn queued_body_is_delivered_unchanged() {
        for text in [
            r#"{"event":"ping","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#,
            r#"{"0":1,"event":"ping","data":{"a":[]},"timestamp":1696176000,"x":null}"#,
        ] {
            let body = check(text).unwrap();
            assert_eq!(body.as_bytes(), text.as_bytes());
            assert_eq!(body.len(), text.len());
            assert!(matches!(body.parse(), Node::Object(_)));
        }
    }

    #[test]
    fn body_that_is_not_an_event_is_rejected_with_a_reason() {
        for (text, reason) in [
            (
                "{",
                "not JSON: expected a key in quotes or '}' at byte 1, where the text ends",
            ),
            ("[]", "not a JSON object"),
            ("{}", "member \"event\" is not a string"),
            (
                r#"{"event":"a","data":[],"timestamp":1}"#,
                "member \"data\" is not an object",
            ),
            (
                r#"{"event":"a","data":{},"timestamp":null}"#,
                "member \"timestamp\" is not a string or a number",
            ),
        ] {
            assert_eq!(check(text).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn a_guard_lives_as_long_as_the_last_reference_to_the_bytes() {
        let guard = std::sync::Arc::new(());
        let body = check(r#"{"event":"a","data":{},"timestamp":1}"#).unwrap();
        let guarded = body.clone().kept_with(guard.clone());
        assert_eq!(guarded, body);
        let published = guarded.bytes();
        drop(guarded);
        assert_eq!(std::sync::Arc::strong_count(&guard), 2);
        drop(published);
        assert_eq!(std::sync::Arc::strong_count(&guard), 1);
    }

    #[test]
    fn debug_output_does_not_show_the_message() {
        let body = check(r#"{"event":"a","data":{"body":"private"},"timestamp":1}"#).unwrap();
        assert!(!format!("{body:?}").contains("private"));
    }
}
