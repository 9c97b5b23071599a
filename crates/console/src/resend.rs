//! Event as it was sent, from its record in the log (pure).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;
use wahook_delivery_log::LoggedDelivery;
use wahook_domain::{
    AcceptedEvent, EventId, Ingest, QueuedEvent, Validation, ingest, redaction::is_redacted,
};

/// Reason why a delivery is not sent again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Unsent {
    #[error("the log has no such delivery")]
    NotLogged,
    #[error("the log does not keep the exact body of events from sources")]
    OfSource,
    #[error("the log could not store the exact payload")]
    Altered,
    #[error("the payload in the log is redacted or erased, so the exact body is gone")]
    Redacted,
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
    if found.source.is_some() {
        return Err(Unsent::OfSource);
    }
    if !logged.payload_altered.is_empty() {
        return Err(Unsent::Altered);
    }
    let payload = logged.payload.as_deref().ok_or(Unsent::Altered)?;
    if is_redacted(payload) {
        return Err(Unsent::Redacted);
    }
    let event = exact(logged, payload).ok_or(Unsent::Inexact)?;
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
        accepted(&body, logged)
    });
    if is_hash(id) {
        return events.find(|event| event.id == *id);
    }
    events.next().filter(|_| !is_number)
}

/// Accepts an event again: its id is then the hash of its body.
fn accepted(body: &str, logged: &LoggedDelivery) -> Option<AcceptedEvent> {
    let context = Ingest {
        validation: Validation::Lenient,
        now: logged.found.created_at,
        idempotency_key: None,
    };
    // Only events without a timestamp get another id, and this one has a timestamp.
    ingest(body.as_bytes(), context, || logged.found.event_id.clone()).ok()
}

/// Returns true if the id is, most likely, a hash of the body (a UUID v5), and not chosen by
/// the sender or by chance.
fn is_hash(id: &EventId) -> bool {
    Uuid::parse_str(id.as_str()).is_ok_and(|uuid| uuid.get_version_num() == 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;
    use wahook_domain::redaction::erased_payload;

    fn logged(id: &str, timestamp: &str) -> LoggedDelivery {
        LoggedDelivery {
            timestamp: timestamp.to_owned(),
            ..fake::logged(id, 1_000)
        }
    }

    /// Returns the id that an event with this body gets.
    fn id_of(body: &str) -> String {
        accepted(body, &fake::logged("e1", 0))
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
