//! Messages of `wahook.results`, where results wait while the log is
//! unavailable. The payload is the body that messages of the event have (so that the log's
//! `payload` is complete), and a header has the attempt.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};
use wahook_domain::{
    AttemptResult, EndpointName, EventBody, EventId, EventName, Origin, Original, UnixMillis,
    canonical_body,
};

use super::{
    attempt::QueuedAttempt,
    event::{body_of, no_event},
    header,
    metadata::MessageMetadata,
    outgoing::Outgoing,
    poison::Poison,
};
use crate::topology;

/// Wire form of an attempt's result.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    event_id: Cow<'a, str>,
    endpoint: Cow<'a, str>,
    event: Cow<'a, str>,
    accepted_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<Arc<Origin>>,
    #[serde(flatten)]
    attempt: QueuedAttempt<'a>,
}

impl Outgoing {
    /// Creates the message of a result that the log could not store.
    #[must_use]
    pub fn result(result: &AttemptResult) -> Self {
        let wire = Wire {
            event_id: result.event_id.as_str().into(),
            endpoint: result.endpoint.as_str().into(),
            event: result.event.as_str().into(),
            accepted_at: result.accepted_at.get(),
            origin: result.origin.clone(),
            attempt: QueuedAttempt::from(&result.attempt),
        };
        // Strings and numbers always have a JSON form.
        let json = serde_json::to_string(&wire).unwrap_or_default();
        let exact = match &result.original {
            Original::Exact(body) => Some(body),
            Original::Same | Original::Lost(_) => None,
        };
        let metadata = MessageMetadata {
            id: Some(result.event_id.clone()),
            result: Some(json),
            is_exact: exact.is_some(),
            ..MessageMetadata::default()
        };
        let queue = topology::RESULTS_QUEUE.to_owned();
        Self::new(
            String::new(),
            queue,
            metadata,
            exact.unwrap_or(&result.body).bytes(),
        )
    }
}

impl MessageMetadata {
    /// Decodes a message of `wahook.results`.
    ///
    /// # Errors
    /// When wahook did not write the message, or its payload is not an event.
    pub fn decode_result(&self, payload: Bytes) -> Result<AttemptResult, Poison> {
        const MALFORMED: Poison = Poison::Missing(header::RESULT);
        if let Some(defect) = &self.defect {
            return Err(defect.clone());
        }
        let json = self.result.as_deref().ok_or(MALFORMED)?;
        let wire: Wire<'_> = serde_json::from_str(json).map_err(|_| MALFORMED)?;
        let accepted_at = UnixMillis::new(wire.accepted_at);
        let (body, original) = if self.is_exact {
            let body = canonical_body(&payload, accepted_at).map_err(no_event)?;
            (body, Original::Exact(EventBody::as_received(payload)))
        } else {
            (body_of(payload, wire.origin.as_deref())?, Original::Same)
        };
        Ok(AttemptResult {
            event_id: EventId::parse(&wire.event_id).map_err(|_| MALFORMED)?,
            endpoint: EndpointName::parse(&wire.endpoint).map_err(|_| MALFORMED)?,
            event: EventName::parse(&wire.event).map_err(|_| MALFORMED)?,
            body,
            accepted_at,
            origin: wire.origin,
            original,
            attempt: wire.attempt.read().ok_or(MALFORMED)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_domain::{Attempt, AttemptNumber};

    fn result() -> AttemptResult {
        let body = br#"{"event":"call","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
        AttemptResult {
            event_id: EventId::parse("evt-1").unwrap(),
            endpoint: EndpointName::default(),
            event: EventName::parse("call").unwrap(),
            body: EventBody::check(Bytes::from_static(body)).unwrap(),
            accepted_at: UnixMillis::new(1),
            origin: None,
            original: Original::Same,
            attempt: Attempt {
                queued_at: UnixMillis::new(1),
                number: AttemptNumber::FIRST.next(),
                started_at: UnixMillis::new(2),
                duration_ms: 3,
                status_code: Some(500),
                error: Some("answered 500".into()),
                next_attempt_at: Some(UnixMillis::new(4)),
                webhook_url: "http://127.0.0.1/hook".into(),
                response: None,
                other_event: false,
            },
        }
    }

    #[test]
    fn a_spilled_result_is_decoded_unchanged() {
        let outgoing = Outgoing::result(&result());
        assert_eq!(outgoing.address(), ("", "wahook.results"));
        let read = outgoing.metadata.decode_result(outgoing.payload).unwrap();
        assert_eq!(read, result());
    }

    #[test]
    fn a_spilled_result_keeps_the_bytes_that_the_gateway_sent() {
        let sent = br#"{ "event": "call", "timestamp": "2024-10-01T12:00:00.000Z" }"#;
        let sent = EventBody::as_received(Bytes::from_static(sent));
        let exact = AttemptResult {
            original: Original::Exact(sent.clone()),
            ..result()
        };
        let outgoing = Outgoing::result(&exact);
        assert_eq!(outgoing.payload, sent.bytes());
        let read = outgoing.metadata.decode_result(outgoing.payload).unwrap();
        assert_eq!(read, exact);
    }

    #[test]
    fn members_of_a_result_never_change() {
        let outgoing = Outgoing::result(&result());
        assert_eq!(
            outgoing.metadata.result.unwrap(),
            r#"{"event_id":"evt-1","endpoint":"default","event":"call","accepted_at":1,"queued_at":1,"number":2,"started_at":2,"duration_ms":3,"status_code":500,"error":"answered 500","next_attempt_at":4,"webhook_url":"http://127.0.0.1/hook"}"#
        );
    }

    #[test]
    fn a_message_without_a_result_is_poison() {
        for text in [None, Some("{}".to_owned())] {
            let mut outgoing = Outgoing::result(&result());
            outgoing.metadata.result = text;
            let read = outgoing.metadata.decode_result(outgoing.payload);
            assert_eq!(read, Err(Poison::Missing("x-result")));
        }
    }
}
