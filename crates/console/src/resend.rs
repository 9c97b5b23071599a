//! Event as it was sent, from its record in the log (pure).

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use wahook_delivery_log::LoggedDelivery;
use wahook_domain::{
    AcceptedEvent, EventName, Ingest, Omitted, OrderKey, Origin, QueuedEvent, Sent, SourceName,
    Validation, ingest, redaction::is_redacted, sent_body,
};

/// Reason why a delivery is not sent again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Unsent {
    #[error("the log has no such delivery")]
    NotLogged,
    #[error("an earlier version recorded this event of a source, without its exact body")]
    OfSource,
    #[error("the log could not store the exact payload")]
    Altered,
    #[error("the payload in the log is redacted or erased, so the exact body is gone")]
    Redacted,
    #[error("the exact body is too large for the log")]
    TooLarge,
    #[error("the exact body can't be restored from the log")]
    Inexact,
    #[error("the endpoint has no queue")]
    NoQueue,
}

/// Returns the event of a delivery, marked as a redelivery, with the body that was sent.
///
/// # Errors
/// If the log can't give back the exact body, as far as this can be known.
pub(crate) fn event_of(logged: &LoggedDelivery) -> Result<QueuedEvent, Unsent> {
    let found = &logged.found;
    let payload = logged.payload.as_deref();
    if payload.is_some_and(is_redacted) {
        return Err(Unsent::Redacted);
    }
    if let Some(sent) = &logged.sent {
        let bytes = sent.body_of(payload)?;
        return stored(logged, sent, bytes).ok_or(Unsent::Inexact);
    }
    if found.source.is_some() {
        return Err(Unsent::OfSource);
    }
    if !logged.payload_altered.is_empty() {
        return Err(Unsent::Altered);
    }
    let event = exact(logged, payload.ok_or(Unsent::Altered)?).ok_or(Unsent::Inexact)?;
    Ok(QueuedEvent {
        key: event.key,
        is_redelivery: true,
        ..QueuedEvent::new(
            found.event_id.clone(),
            event.name,
            event.body,
            found.created_at,
        )
    })
}

/// Returns the event whose body the log stores. `None` if the record is damaged.
fn stored(logged: &LoggedDelivery, sent: &Sent, bytes: Bytes) -> Option<QueuedEvent> {
    let found = &logged.found;
    let origin = match &found.source {
        Some(source) => Some(Origin {
            source: SourceName::parse(source).ok()?,
            session: found.session.clone(),
            chat: found.chat.clone(),
            message_id: found.message_id.clone(),
            received: sent.received.clone(),
        }),
        None => None,
    };
    let (body, exact) = sent_body(bytes, origin.as_ref(), found.created_at).ok()?;
    let key = match &origin {
        Some(origin) => OrderKey::of_origin(origin),
        None => accepted(body.as_bytes(), logged)?.key,
    };
    Some(QueuedEvent {
        exact,
        key,
        origin: origin.map(Arc::new),
        is_redelivery: true,
        ..QueuedEvent::new(
            found.event_id.clone(),
            EventName::parse(&found.event).ok()?,
            body,
            found.created_at,
        )
    })
}

/// Returns the event that was sent. The log has a number as timestamp and a text with its
/// digits in the same form; only an id that is a hash of the body can tell them apart.
fn exact(logged: &LoggedDelivery, payload: &str) -> Option<AcceptedEvent> {
    let (timestamp, id) = (logged.timestamp.as_str(), &logged.found.event_id);
    let text = json!(timestamp).to_string();
    let is_number = serde_json::from_str::<serde_json::Number>(timestamp).is_ok();
    let forms = [
        Some(Cow::Owned(text)),
        is_number.then_some(timestamp.into()),
    ];
    let mut events = forms.into_iter().flatten().filter_map(|timestamp| {
        let event = json!(logged.found.event);
        let body = format!(r#"{{"event":{event},"data":{payload},"timestamp":{timestamp}}}"#);
        accepted(body.as_bytes(), logged)
    });
    if id.is_hash() {
        return events.find(|event| event.id == *id);
    }
    events.next().filter(|_| !is_number)
}

/// Accepts an event again: its id is then the hash of its body.
fn accepted(body: &[u8], logged: &LoggedDelivery) -> Option<AcceptedEvent> {
    let context = Ingest {
        validation: Validation::Lenient,
        now: logged.found.created_at,
        idempotency_key: None,
    };
    // Only events without a timestamp get another id, and this one has a timestamp.
    ingest(body, context, || logged.found.event_id.clone()).ok()
}

impl From<Omitted> for Unsent {
    fn from(reason: Omitted) -> Self {
        match reason {
            Omitted::Redacted => Self::Redacted,
            Omitted::TooLarge => Self::TooLarge,
            Omitted::Refused => Self::Altered,
            Omitted::NotKept => Self::OfSource,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;
    use wahook_domain::{ReceivedForm, redaction::erased_payload};

    fn logged(id: &str, timestamp: &str) -> LoggedDelivery {
        LoggedDelivery {
            timestamp: timestamp.to_owned(),
            ..fake::logged(id, 1_000)
        }
    }

    /// Returns the id that an event with this body gets.
    fn id_of(body: &str) -> String {
        accepted(body.as_bytes(), &fake::logged("e1", 0))
            .unwrap()
            .id
            .to_string()
    }

    #[test]
    fn body_is_the_one_that_was_sent_and_its_chat_is_the_key() {
        let mut logged = logged("evt-1", "2024-10-01T12:00:00.000Z");
        logged.payload = Some(r#"{"from":"1@c.us","b":1e21,"a":"\ud83d"}"#.to_owned());
        let event = event_of(&logged).unwrap();
        let body = r#"{"event":"call","data":{"from":"1@c.us","b":1e+21,"a":"\ud83d"},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
        assert_eq!(event.body.as_bytes(), body.as_bytes());
        assert_eq!((event.id.as_str(), event.is_redelivery), ("evt-1", true));
        assert_eq!(event.accepted_at, logged.found.created_at);
    }

    #[test]
    fn hash_of_the_body_tells_a_number_from_a_text_and_finds_what_is_missing() {
        for timestamp in ["1696176000", "\"1696176000\""] {
            let body =
                format!(r#"{{"event":"call","data":{{"body":"hello"}},"timestamp":{timestamp}}}"#);
            let event = event_of(&logged(&id_of(&body), "1696176000")).unwrap();
            assert_eq!(event.body.as_bytes(), body.as_bytes());
        }
        let more = r#"{"event":"call","data":{"body":"hello"},"timestamp":"now","other":1}"#;
        let incomplete = event_of(&logged(&id_of(more), "now"));
        assert_eq!(incomplete, Err(Unsent::Inexact));
        let unknown = event_of(&logged("evt-1", "1696176000"));
        assert_eq!(unknown, Err(Unsent::Inexact));
    }

    fn received() -> ReceivedForm {
        ReceivedForm {
            content_type: Some("application/x-www-form-urlencoded".to_owned()),
            headers: vec![("x-webhook-hmac".to_owned(), "00".to_owned())],
        }
    }

    #[test]
    fn event_of_a_source_has_its_bytes_and_origin() {
        let mut logged = logged("evt-1", "now");
        logged.found.source = Some("shop".to_owned());
        logged.found.session = Some("s1".to_owned());
        logged.found.chat = Some("1@c.us".to_owned());
        logged.sent = Some(Sent {
            received: Some(received()),
            omitted: None,
            body: Some("a=1".into()),
        });
        let event = event_of(&logged).unwrap();
        assert_eq!((event.body.as_bytes(), event.exact), (&b"a=1"[..], None));
        assert_eq!(event.key.unwrap().as_str(), "c:shop/s1/1@c.us");
        let origin = event.origin.unwrap();
        assert_eq!(origin.received, Some(received()));
        assert_eq!(origin.session.as_deref(), Some("s1"));
        // Bytes that are the payload are not stored once more.
        logged.sent = logged.sent.map(|sent| Sent { body: None, ..sent });
        let event = event_of(&logged).unwrap();
        assert_eq!(event.body.as_bytes(), logged.payload.unwrap().as_bytes());
    }

    #[test]
    fn stored_bytes_of_a_canonical_event_are_its_exact_body() {
        let mut logged = logged("evt-1", "1696176000");
        for (bytes, canonical) in [
            (
                r#"{"timestamp":1696176000,"event":"call","data":{"from":"1@c.us"}}"#,
                r#"{"event":"call","data":{"from":"1@c.us"},"timestamp":1696176000}"#,
            ),
            (
                r#"{"event":"call","data":{"from":"1@c.us"},"timestamp":"now","more":1}"#,
                r#"{"event":"call","data":{"from":"1@c.us"},"timestamp":"now","more":1}"#,
            ),
        ] {
            let body = Some(bytes.into());
            logged.sent = Some(Sent {
                body,
                ..Sent::default()
            });
            logged.payload_altered = vec!["lone_surrogate".to_owned()];
            let event = event_of(&logged).unwrap();
            assert_eq!(event.body.as_bytes(), canonical.as_bytes());
            let exact = event.exact.map(|exact| exact.bytes());
            assert_eq!(exact, (bytes != canonical).then(|| bytes.into()));
            assert_eq!(event.key.unwrap().as_str(), "c:1@c.us");
        }
    }

    #[test]
    fn body_that_was_not_stored_is_not_sent_for_its_reason() {
        for (omitted, expected) in [
            (Omitted::Redacted, Unsent::Redacted),
            (Omitted::TooLarge, Unsent::TooLarge),
            (Omitted::Refused, Unsent::Altered),
            (Omitted::NotKept, Unsent::OfSource),
        ] {
            let mut logged = logged("evt-1", "now");
            logged.sent = Some(Sent::without_body(Some(received()), omitted));
            assert_eq!(event_of(&logged), Err(expected));
        }
        let mut erased = logged("evt-1", "now");
        erased.payload = Some(erased_payload());
        erased.sent = Some(Sent {
            received: Some(received()),
            ..Sent::default()
        });
        assert_eq!(event_of(&erased), Err(Unsent::Redacted));
    }

    #[test]
    fn changed_and_missing_payloads_and_those_of_sources_are_not_sent() {
        let of = |change: fn(&mut LoggedDelivery)| {
            let mut logged = logged("evt-1", "now");
            change(&mut logged);
            event_of(&logged).unwrap_err()
        };
        let altered = |logged: &mut LoggedDelivery| {
            logged.payload_altered = vec!["lone_surrogate".to_owned()];
        };
        assert_eq!(of(altered), Unsent::Altered);
        assert_eq!(of(|logged| logged.payload = None), Unsent::Altered);
        let erased = of(|logged| logged.payload = Some(erased_payload()));
        assert_eq!(erased, Unsent::Redacted);
        let sourced = of(|logged| logged.found.source = Some("shop".to_owned()));
        assert_eq!(sourced, Unsent::OfSource);
        assert_eq!(
            of(|logged| logged.payload = Some("[]".to_owned())),
            Unsent::Inexact
        );
    }
}
