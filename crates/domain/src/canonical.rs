//! Canonical form of an event: the documented members first, with their defaults.

use crate::{
    body::{BodyFault, EventBody},
    event::EventName,
    json::{self, Node, Object, Text},
    time::UnixMillis,
};

/// Returns the canonical body of an event that [`ingest`](crate::ingest) has accepted, from
/// the bytes that the gateway sent. `accepted_at` is its timestamp if it has none.
///
/// # Errors
/// When the bytes are not an event.
pub fn canonical_body(exact: &[u8], accepted_at: UnixMillis) -> Result<EventBody, BodyFault> {
    let Node::Object(mut members) = json::parse(exact)? else {
        return Err(BodyFault::NotAnObject);
    };
    let name = match members.remove("event") {
        Some(Node::Text(name)) => EventName::parse(&name.to_str().0).ok(),
        _ => None,
    };
    let name = name.ok_or(BodyFault::Member("event", "the name of an event"))?;
    let data = match members.remove("data") {
        None | Some(Node::Null) => Node::Object(Object::default()),
        Some(data @ Node::Object(_)) => data,
        Some(_) => return Err(BodyFault::Member("data", "an object")),
    };
    let now;
    let timestamp = match members.remove("timestamp") {
        None | Some(Node::Null) => {
            now = accepted_at.to_iso8601();
            Node::Text(Text::new(&now))
        }
        Some(time @ (Node::Text(_) | Node::Number(_))) => time,
        Some(_) => return Err(BodyFault::Member("timestamp", "a string or a number")),
    };
    let event = in_order(&name, data, timestamp, members);
    Ok(EventBody::of(&event, exact.len()))
}

/// Creates the body of a documented event that was mapped from a gateway's own form. `source`
/// follows the documented members.
#[must_use]
pub fn compose(
    name: &EventName,
    data: Node<'_>,
    timestamp: UnixMillis,
    source: Node<'_>,
) -> EventBody {
    let time = timestamp.to_iso8601();
    let others = [(Text::new("source"), source)].into_iter().collect();
    let event = in_order(name, data, Node::Text(Text::new(&time)), others);
    EventBody::of(&event, 512)
}

/// Returns the event with the documented members first.
pub(crate) fn in_order<'a>(
    name: &'a EventName,
    data: Node<'a>,
    timestamp: Node<'a>,
    others: Object<'a>,
) -> Node<'a> {
    let event = Node::Text(Text::new(name.as_str()));
    let first = [("event", event), ("data", data), ("timestamp", timestamp)];
    let first = first.map(|(key, value)| (Text::new(key), value));
    Node::Object(first.into_iter().chain(others).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventId, Ingest, Validation, ingest};

    const NOON: UnixMillis = UnixMillis::new(1_727_784_000_000);

    #[test]
    fn canonical_body_of_the_sent_bytes_is_that_of_ingest() {
        for raw in [
            r#"{"event":"ping"}"#,
            r#"{"event":"ping","data":null,"timestamp":null}"#,
            r#"{"event":"ping","timestamp":1e999}"#,
            r#" { "z": 1, "timestamp": 1696176000.0, "data": {"b": [ ], "b": 2}, "event": "p\u0069ng" } "#,
            r#"{"7":1,"event":"ping","data":{"n":9007199254740993,"s":"\ud800"},"timestamp":"soon"}"#,
        ] {
            let context = Ingest {
                validation: Validation::Lenient,
                now: NOON,
                idempotency_key: None,
            };
            let fresh = || EventId::parse("fresh").unwrap();
            let ingested = ingest(raw.as_bytes(), context, fresh).unwrap().body;
            let restored = canonical_body(raw.as_bytes(), NOON).unwrap();
            assert_eq!(restored.as_bytes(), ingested.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn bytes_that_are_no_event_are_refused_with_a_reason() {
        for (raw, reason) in [
            ("[", "not JSON"),
            ("[]", "not a JSON object"),
            (r#"{"data":{}}"#, "\"event\" is not the name"),
            (r#"{"event":"Ping!"}"#, "\"event\" is not the name"),
            (r#"{"event":"ping","data":1}"#, "\"data\" is not an object"),
            (r#"{"event":"ping","timestamp":{}}"#, "\"timestamp\" is not"),
        ] {
            let fault = canonical_body(raw.as_bytes(), NOON).unwrap_err();
            assert!(fault.to_string().contains(reason), "{fault}");
        }
    }
}
