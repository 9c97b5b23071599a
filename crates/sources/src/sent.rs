//! Body that the log stores next to the payload.

use wahook_domain::{
    AttemptResult, Omitted, Original, Redaction, Sent,
    json::{self, Node},
};

use crate::LoggedEvent;

impl LoggedEvent<'_> {
    /// Returns what the log stores of the body that was sent; `None` if payload, name and
    /// timestamp of the record give it back. `is_altered`: the log stores another payload.
    ///
    /// The body of an event with values to redact is not stored: it can have them in a form
    /// that the rules do not find.
    #[must_use]
    pub fn sent(
        &self,
        result: &AttemptResult,
        is_altered: bool,
        redaction: Option<&Redaction>,
    ) -> Option<Sent> {
        let origin = result.origin.as_deref();
        let received = origin.and_then(|origin| origin.received.clone());
        let body = match &result.original {
            Original::Lost(reason) => return Some(Sent::without_body(received, *reason)),
            Original::Exact(body) => body,
            Original::Same if received.is_none() && !is_altered && self.gives_back(result) => {
                return None;
            }
            Original::Same => &result.body,
        };
        if received.is_some() && !is_altered && self.is_payload(body.as_bytes()) {
            let (omitted, body) = (None, None);
            return Some(Sent {
                received,
                omitted,
                body,
            });
        }
        if redaction.is_some_and(|rules| rules.concerns(&result.event)) {
            return Some(Sent::without_body(received, Omitted::Redacted));
        }
        Some(Sent {
            received,
            omitted: None,
            body: Some(body.bytes()),
        })
    }

    /// Returns true if the canonical body has no more than the parts. The log has a number as
    /// timestamp and a text with its digits in the same form; only an id that is a hash of the
    /// body can tell them apart.
    fn gives_back(&self, result: &AttemptResult) -> bool {
        let is_told = match self.timestamp {
            Node::Text(_) => true,
            _ => result.event_id.is_hash(),
        };
        result.origin.is_none() && !self.has_more && is_told
    }

    /// Returns true if the bytes are the payload as canonical JSON.
    fn is_payload(&self, bytes: &[u8]) -> bool {
        let mut printed = Vec::with_capacity(bytes.len());
        json::print(&self.payload, &mut printed);
        printed == bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use wahook_domain::{
        Attempt, EndpointName, EventBody, EventId, EventName, Origin, QueuedEvent, ReceivedForm,
        SourceName, UnixMillis,
    };

    use super::*;
    use crate::LoggedBody;

    const DOCUMENTED: &str = r#"{"event":"call","data":{"a":1},"timestamp":"now"}"#;

    fn result(body: &'static str) -> AttemptResult {
        let (id, name) = (EventId::parse("evt-1"), EventName::parse("call"));
        let body = EventBody::as_received(Bytes::from_static(body.as_bytes()));
        let time = UnixMillis::new(1);
        let event = QueuedEvent::new(id.unwrap(), name.unwrap(), body, time);
        let attempt = Attempt::begun(&event, time, "http://127.0.0.1/".into());
        AttemptResult::of(&event, EndpointName::default(), attempt)
    }

    fn of_source(body: &'static str, received: Option<ReceivedForm>) -> AttemptResult {
        let origin = Origin {
            source: SourceName::parse("shop").unwrap(),
            session: None,
            chat: None,
            message_id: None,
            received,
        };
        AttemptResult {
            origin: Some(Arc::new(origin)),
            ..result(body)
        }
    }

    fn form() -> ReceivedForm {
        ReceivedForm {
            content_type: Some("application/json".to_owned()),
            headers: vec![("x-hub-signature-256".to_owned(), "sha256=00".to_owned())],
        }
    }

    fn sent(result: &AttemptResult, is_altered: bool, redaction: Option<&str>) -> Option<Sent> {
        let redaction: Option<Redaction> = redaction.map(|rules| rules.parse().unwrap());
        let body = LoggedBody::of(result);
        body.parse().sent(result, is_altered, redaction.as_ref())
    }

    /// Returns the stored body.
    fn kept(result: &AttemptResult) -> Option<Bytes> {
        let sent = sent(result, false, None)?;
        assert_eq!(sent.omitted, None);
        sent.body
    }

    #[test]
    fn nothing_is_stored_of_a_documented_event() {
        assert_eq!(sent(&result(DOCUMENTED), false, None), None);
        assert_eq!(sent(&result(DOCUMENTED), false, Some("*=/data")), None);
        let mut number = result(r#"{"event":"call","data":{},"timestamp":1}"#);
        number.event_id = EventId::for_body(&number.body);
        assert_eq!(sent(&number, false, None), None);
    }

    #[test]
    fn canonical_body_is_stored_if_the_parts_are_not_all_of_it() {
        let more = result(r#"{"event":"call","data":{},"timestamp":"now","more":1}"#);
        let number = result(r#"{"event":"call","data":{},"timestamp":1}"#);
        for result in [more, number, of_source(DOCUMENTED, None)] {
            assert_eq!(kept(&result), Some(result.body.bytes()));
        }
        let altered = sent(&result(DOCUMENTED), true, None).unwrap();
        assert_eq!(altered.body, Some(DOCUMENTED.into()));
    }

    #[test]
    fn bytes_of_the_gateway_are_stored_next_to_the_canonical_body() {
        let bytes = Bytes::from_static(b"{ \"event\": \"call\" }");
        let exact = AttemptResult {
            original: Original::Exact(EventBody::as_received(bytes.clone())),
            ..result(DOCUMENTED)
        };
        assert_eq!(kept(&exact), Some(bytes));
    }

    #[test]
    fn body_in_the_gateways_form_is_stored_unless_it_is_the_payload() {
        for body in ["{ \"a\": 1 }", "{\"a\":1}\n", "[1]", "not JSON"] {
            let received = of_source(body, Some(form()));
            let sent = sent(&received, false, None).unwrap();
            assert_eq!(sent.body, Some(body.into()), "{body}");
            assert_eq!(sent.received, Some(form()));
        }
        let same = of_source("{\"a\":1}", Some(form()));
        let sent_same = sent(&same, false, Some("*=/data/b")).unwrap();
        assert_eq!((sent_same.body, sent_same.omitted), (None, None));
        assert_eq!(sent_same.received, Some(form()));
        let altered = sent(&same, true, None).unwrap();
        assert_eq!(altered.body, Some(same.body.bytes()));
    }

    #[test]
    fn body_of_an_event_with_values_to_redact_is_not_stored_and_the_reason_is() {
        let received = of_source("{ \"a\": 1 }", Some(form()));
        let bytes = EventBody::as_received(Bytes::from_static(b"{}"));
        let exact = AttemptResult {
            original: Original::Exact(bytes),
            ..result(DOCUMENTED)
        };
        for result in [received, exact, of_source(DOCUMENTED, None)] {
            let omitted = sent(&result, false, Some("call=/data/b")).unwrap();
            assert_eq!(omitted.body, None);
            assert_eq!(omitted.omitted, Some(Omitted::Redacted));
            let other = sent(&result, false, Some("message=/data/b")).unwrap();
            assert_eq!(other.omitted, None);
        }
    }

    #[test]
    fn body_made_of_the_log_is_never_stored_as_one_that_was_sent() {
        let lost = AttemptResult {
            original: Original::Lost(Omitted::NotKept),
            ..of_source(DOCUMENTED, None)
        };
        let expected = Sent::without_body(None, Omitted::NotKept);
        assert_eq!(sent(&lost, false, None), Some(expected));
    }
}
