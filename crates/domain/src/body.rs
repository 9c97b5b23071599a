//! The bytes of an event: made once, then queued, signed and sent as they are.

use std::fmt;

use bytes::Bytes;

use crate::json::{self, JsonFault, Node};

/// An event as canonical JSON: an object with `event`, `data` and `timestamp`.
///
/// Receivers verify a signature over what their own JSON parser and printer make
/// of the body, so nothing after [`ingest`](crate::ingest) may print it anew.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CanonicalBody(Bytes);

impl CanonicalBody {
    /// Takes a body that was canonical when it was queued. It is read, but not
    /// printed anew: what was accepted is what is delivered.
    ///
    /// # Errors
    /// When it is not JSON or no event.
    pub fn check(bytes: Bytes) -> Result<Self, BodyFault> {
        let Node::Object(members) = json::parse(&bytes)? else {
            return Err(BodyFault::NotAnObject);
        };
        if !matches!(members.get("event"), Some(Node::Text(_))) {
            return Err(BodyFault::Member("event", "a string"));
        }
        if !matches!(members.get("data"), Some(Node::Object(_))) {
            return Err(BodyFault::Member("data", "an object"));
        }
        if !matches!(
            members.get("timestamp"),
            Some(Node::Text(_) | Node::Number(_))
        ) {
            return Err(BodyFault::Member("timestamp", "a string or a number"));
        }
        Ok(Self(bytes))
    }

    /// Prints an event that `ingest` has put in order and checked.
    pub(crate) fn of(event: &Node<'_>, size_hint: usize) -> Self {
        let mut bytes = Vec::with_capacity(size_hint);
        json::print(event, &mut bytes);
        Self(Bytes::from(bytes))
    }

    /// The body as JSON. [`Node::Null`] can't come out, since every body was
    /// read when it was made.
    #[must_use]
    pub fn parse(&self) -> Node<'_> {
        json::parse(&self.0).unwrap_or(Node::Null)
    }

    /// The bytes to sign and send.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same bytes, shared, not copied.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// The same body, with `guard` dropped together with the last reference to
    /// its bytes: for whoever accounts for their memory.
    #[must_use]
    pub fn kept_with(self, guard: impl Send + 'static) -> Self {
        Self(Bytes::from_owner(Kept {
            bytes: self.0,
            _guard: guard,
        }))
    }

    /// In bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no body is empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

struct Kept<G> {
    bytes: Bytes,
    _guard: G,
}

impl<G> AsRef<[u8]> for Kept<G> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Tells the size alone: bodies are people's messages and don't belong in logs.
impl fmt::Debug for CanonicalBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CanonicalBody({} bytes)", self.len())
    }
}

/// Why bytes are no event's body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// It is not JSON.
    #[error("it is not JSON: {0}")]
    NotJson(#[from] JsonFault),
    /// It is JSON of another kind.
    #[error("it is not an object")]
    NotAnObject,
    /// A member is missing or of another type: its name, and what it must be.
    #[error("its member {0:?} is not {1}")]
    Member(&'static str, &'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &'static str) -> Result<CanonicalBody, BodyFault> {
        CanonicalBody::check(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn a_queued_body_is_delivered_as_it_is() {
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
    fn what_is_no_event_is_refused_with_a_reason() {
        for (text, reason) in [
            (
                "{",
                "it is not JSON: expected a key in quotes or '}' at byte 1, where the text ends",
            ),
            ("[]", "it is not an object"),
            ("{}", "its member \"event\" is not a string"),
            (
                r#"{"event":"a","data":[],"timestamp":1}"#,
                "its member \"data\" is not an object",
            ),
            (
                r#"{"event":"a","data":{},"timestamp":null}"#,
                "its member \"timestamp\" is not a string or a number",
            ),
        ] {
            assert_eq!(check(text).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn a_guard_lives_as_long_as_the_last_reference_to_the_bytes() {
        let guard = std::sync::Arc::new(());
        let body = check(r#"{"event":"a","data":{},"timestamp":1}"#).unwrap();
        let kept = body.clone().kept_with(guard.clone());
        assert_eq!(kept, body);
        let published = kept.bytes();
        drop(kept);
        assert_eq!(std::sync::Arc::strong_count(&guard), 2);
        drop(published);
        assert_eq!(std::sync::Arc::strong_count(&guard), 1);
    }

    #[test]
    fn a_message_is_never_shown_by_debug() {
        let body = check(r#"{"event":"a","data":{"body":"private"},"timestamp":1}"#).unwrap();
        assert!(!format!("{body:?}").contains("private"));
    }
}
