//! Messages of `wahook.results`, where results wait while the log is
//! unavailable. The payload is the event's body (so that the log's `payload` is
//! complete), and a header has the attempt.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use wahook_domain::{
    Attempt, AttemptNumber, AttemptResult, CanonicalBody, EndpointName, EventId, EventName,
    UnixMillis,
};

use super::{header, metadata::MessageMetadata, outgoing::Outgoing, poison::Poison};
use crate::topology;

/// Wire form of an attempt's result, separate from the domain type so that each
/// can change by itself.
#[derive(Serialize, Deserialize)]
struct Wire {
    event_id: String,
    endpoint: String,
    event: String,
    accepted_at: i64,
    queued_at: i64,
    number: u32,
    started_at: i64,
    duration_ms: i64,
    status_code: Option<u16>,
    error: Option<String>,
    next_attempt_at: Option<i64>,
    webhook_url: String,
}

impl Outgoing {
    /// Creates the message of a result that the log could not store.
    #[must_use]
    pub fn result(result: &AttemptResult) -> Self {
        let attempt = &result.attempt;
        let wire = Wire {
            event_id: result.event_id.as_str().to_owned(),
            endpoint: result.endpoint.as_str().to_owned(),
            event: result.event.as_str().to_owned(),
            accepted_at: result.accepted_at.get(),
            queued_at: attempt.queued_at.get(),
            number: attempt.number.get(),
            started_at: attempt.started_at.get(),
            duration_ms: attempt.duration_ms,
            status_code: attempt.status_code,
            error: attempt.error.clone(),
            next_attempt_at: attempt.next_attempt_at.map(UnixMillis::get),
            webhook_url: attempt.webhook_url.to_string(),
        };
        // Strings and numbers always have a JSON form.
        let json = serde_json::to_string(&wire).unwrap_or_default();
        let metadata = MessageMetadata {
            id: Some(result.event_id.clone()),
            result: Some(json),
            ..MessageMetadata::default()
        };
        let queue = topology::RESULTS_QUEUE.to_owned();
        Self::new(String::new(), queue, metadata, result.body.bytes())
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
        let wire: Wire = serde_json::from_str(json).map_err(|_| MALFORMED)?;
        let attempt = Attempt {
            queued_at: UnixMillis::new(wire.queued_at),
            number: AttemptNumber::new(wire.number).ok_or(MALFORMED)?,
            started_at: UnixMillis::new(wire.started_at),
            duration_ms: wire.duration_ms,
            status_code: wire.status_code,
            error: wire.error,
            next_attempt_at: wire.next_attempt_at.map(UnixMillis::new),
            webhook_url: Arc::from(wire.webhook_url),
        };
        Ok(AttemptResult {
            event_id: EventId::parse(&wire.event_id).map_err(|_| MALFORMED)?,
            endpoint: EndpointName::parse(&wire.endpoint).map_err(|_| MALFORMED)?,
            event: EventName::parse(&wire.event).map_err(|_| MALFORMED)?,
            body: CanonicalBody::check(payload).map_err(|e| Poison::Payload(e.to_string()))?,
            accepted_at: UnixMillis::new(wire.accepted_at),
            attempt,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result() -> AttemptResult {
        let body = br#"{"event":"call","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
        AttemptResult {
            event_id: EventId::parse("evt-1").unwrap(),
            endpoint: EndpointName::default(),
            event: EventName::parse("call").unwrap(),
            body: CanonicalBody::check(Bytes::from_static(body)).unwrap(),
            accepted_at: UnixMillis::new(1),
            attempt: Attempt {
                queued_at: UnixMillis::new(1),
                number: AttemptNumber::FIRST.next(),
                started_at: UnixMillis::new(2),
                duration_ms: 3,
                status_code: Some(500),
                error: Some("answered 500".into()),
                next_attempt_at: Some(UnixMillis::new(4)),
                webhook_url: "http://127.0.0.1/hook".into(),
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
    fn a_message_without_a_result_is_poison() {
        for text in [None, Some("{}".to_owned())] {
            let mut outgoing = Outgoing::result(&result());
            outgoing.metadata.result = text;
            let read = outgoing.metadata.decode_result(outgoing.payload);
            assert_eq!(read, Err(Poison::Missing("x-result")));
        }
    }
}
