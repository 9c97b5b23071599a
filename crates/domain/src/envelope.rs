//! From what a gateway sent to an accepted event: which faults are forgiven,
//! what is filled in, and which id the event gets.

use serde::Serialize;

use crate::{
    body::CanonicalBody,
    documented,
    event::{EventName, InvalidEventName},
    id::EventId,
    json::{self, JsonFault, Node, Object, Text},
    time::UnixMillis,
    validation::Validation,
};

/// The circumstances of a request.
#[derive(Debug, Clone)]
pub struct Ingest {
    /// What happens to events whose data differs from the documented one.
    pub validation: Validation,
    /// The time for an event that has none.
    pub now: UnixMillis,
    /// The id that the gateway gave in the request's header.
    pub idempotency_key: Option<EventId>,
}

/// An event that can be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedEvent {
    /// What identifies it from now on.
    pub id: EventId,
    /// Its name.
    pub name: EventName,
    /// The bytes to queue, sign and send.
    pub body: CanonicalBody,
    /// Where it differs from what is documented.
    pub warnings: Vec<Fault>,
}

/// Something that is wrong with an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where: a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What: "must be a string, is null".
    pub message: String,
}

impl Fault {
    pub(crate) fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

/// Why an event was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It is not JSON.
    #[error("not JSON: {0}")]
    NotJson(#[from] JsonFault),
    /// It is JSON, but no event: all that is wrong with it.
    #[error("not an event: {} faults", .0.len())]
    Invalid(Vec<Fault>),
}

/// Reads what a gateway sent and gives it its canonical form and its id.
///
/// The members `event`, `data` and `timestamp` come first, in this order, then
/// all others in theirs; only keys that are array indices (`"0"`) precede them,
/// because ECMAScript puts those first in every object. Missing data is `{}`, a
/// missing time is `now`.
///
/// The id is the idempotency key; else, where the gateway gave a time, one made
/// of the body, so that a repeated request repeats it; else `fresh_id`, since
/// with a time filled in here two equal events can't be told from a repeat.
///
/// # Errors
/// With all the faults at once, when it is not JSON or no event, or, under strict
/// validation, when anything differs from what is documented.
pub fn ingest(
    raw: &[u8],
    context: Ingest,
    fresh_id: impl FnOnce() -> EventId,
) -> Result<AcceptedEvent, Rejection> {
    let Node::Object(mut members) = json::parse(raw)? else {
        return Err(Rejection::Invalid(vec![Fault::new(
            "",
            "must be an object",
        )]));
    };
    let mut findings = Findings::default();
    let name = findings.event(members.remove("event").as_ref());
    let data = findings.data(members.remove("data"), name.as_ref());
    let (timestamp, gateway_gave_time) = findings.timestamp(members.remove("timestamp"));
    let (Some(name), Some(data)) = (name, data) else {
        return Err(findings.rejection(context.validation));
    };
    if findings.must_reject(context.validation) {
        return Err(findings.rejection(context.validation));
    }

    let now;
    let timestamp = match timestamp {
        Some(timestamp) => timestamp,
        None => {
            now = context.now.to_iso8601();
            Node::Text(Text::new(&now))
        }
    };
    let event = Node::Text(Text::new(name.as_str()));
    let envelope: Object<'_> = [("event", event), ("data", data), ("timestamp", timestamp)]
        .map(|(key, value)| (Text::new(key), value))
        .into_iter()
        .chain(members)
        .collect();
    let body = CanonicalBody::of(&Node::Object(envelope), raw.len());
    let id = match context.idempotency_key {
        Some(key) => key,
        None if gateway_gave_time => EventId::for_body(&body),
        None => fresh_id(),
    };
    Ok(AcceptedEvent {
        id,
        name,
        body,
        warnings: findings.warnings,
    })
}

/// What is found wrong on the way.
#[derive(Default)]
struct Findings {
    /// What no validation forgives.
    faults: Vec<Fault>,
    /// What lenient validation forgives.
    warnings: Vec<Fault>,
}

impl Findings {
    fn event(&mut self, event: Option<&Node<'_>>) -> Option<EventName> {
        let parsed = match event {
            None => Err("is missing".to_owned()),
            Some(Node::Text(text)) => EventName::parse(&text.to_str().0)
                .map_err(|error: InvalidEventName| error.to_string()),
            Some(other) => Err(format!("must be a string, is {}", other.kind())),
        };
        parsed
            .map_err(|message| self.faults.push(Fault::new("/event", message)))
            .ok()
    }

    fn data<'a>(&mut self, data: Option<Node<'a>>, name: Option<&EventName>) -> Option<Node<'a>> {
        let members = match data {
            None => Object::default(),
            Some(Node::Null) => {
                self.warnings
                    .push(Fault::new("/data", "is null, {} is sent instead"));
                Object::default()
            }
            Some(Node::Object(members)) => members,
            Some(other) => {
                let message = format!("must be an object, is {}", other.kind());
                self.faults.push(Fault::new("/data", message));
                return None;
            }
        };
        if let Some(known) = name.and_then(EventName::known) {
            documented::check(known, &members, &mut self.warnings);
        }
        Some(Node::Object(members))
    }

    /// The time to keep, `None` where it must be filled in, and whether the
    /// gateway gave one.
    fn timestamp<'a>(&mut self, timestamp: Option<Node<'a>>) -> (Option<Node<'a>>, bool) {
        let complaint = match &timestamp {
            None => return (None, false),
            Some(Node::Null) => {
                let message = "is null, the current time is sent instead";
                self.warnings.push(Fault::new("/timestamp", message));
                return (None, false);
            }
            Some(Node::Text(text)) if is_iso8601(&text.to_str().0) => None,
            Some(Node::Text(_)) => Some("is not an ISO 8601 time like 2024-10-01T12:00:00.000Z"),
            Some(Node::Number(_)) => Some("must be an ISO 8601 string, is a number"),
            Some(other) => {
                let message = format!("must be an ISO 8601 string, is {}", other.kind());
                self.faults.push(Fault::new("/timestamp", message));
                return (None, false);
            }
        };
        let complaint = complaint.map(|message| Fault::new("/timestamp", message));
        self.warnings.extend(complaint);
        (timestamp, true)
    }

    fn must_reject(&self, validation: Validation) -> bool {
        !self.faults.is_empty() || (validation == Validation::Strict && !self.warnings.is_empty())
    }

    fn rejection(self, validation: Validation) -> Rejection {
        let mut faults = self.faults;
        if validation == Validation::Strict {
            faults.extend(self.warnings);
        }
        Rejection::Invalid(faults)
    }
}

/// With or without an offset from UTC, and also a date alone.
fn is_iso8601(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok() || text.parse::<jiff::civil::DateTime>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixMillis = UnixMillis::new(1_727_784_000_000);

    fn context(validation: Validation) -> Ingest {
        Ingest {
            validation,
            now: NOON,
            idempotency_key: None,
        }
    }

    fn fresh() -> EventId {
        EventId::parse("fresh").unwrap()
    }

    fn lenient(raw: &str) -> Result<AcceptedEvent, Rejection> {
        ingest(raw.as_bytes(), context(Validation::Lenient), fresh)
    }

    fn accepted(raw: &str) -> AcceptedEvent {
        lenient(raw).unwrap()
    }

    fn body(event: &AcceptedEvent) -> &str {
        std::str::from_utf8(event.body.as_bytes()).unwrap()
    }

    fn lines(faults: &[Fault]) -> Vec<String> {
        faults
            .iter()
            .map(|fault| format!("{} {}", fault.pointer, fault.message))
            .collect()
    }

    fn rejected(raw: &str, validation: Validation) -> Vec<String> {
        match ingest(raw.as_bytes(), context(validation), fresh) {
            Err(Rejection::Invalid(faults)) => lines(&faults),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_envelope_comes_first_and_the_rest_keeps_its_order() {
        let event = accepted(
            r#" {"z": 1, "timestamp": "2024-10-01T12:00:00.000Z", "a": 1.0, "data": {"b": [ ]}, "event": "ping"} "#,
        );
        assert_eq!(
            body(&event),
            r#"{"event":"ping","data":{"b":[]},"timestamp":"2024-10-01T12:00:00.000Z","z":1,"a":1}"#
        );
        assert_eq!(event.name.as_str(), "ping");
        assert_eq!(event.warnings, []);
    }

    #[test]
    fn array_index_keys_precede_the_envelope_as_ecmascript_demands() {
        let event = accepted(r#"{"event":"ping","7":1,"data":{},"timestamp":"2024-10-01"}"#);
        assert_eq!(
            body(&event),
            r#"{"7":1,"event":"ping","data":{},"timestamp":"2024-10-01"}"#
        );
    }

    #[test]
    fn missing_data_and_time_are_filled_in() {
        let filled = r#"{"event":"ping","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
        let event = accepted(r#"{"event":"ping"}"#);
        assert_eq!(
            (body(&event), event.warnings.as_slice()),
            (filled, [].as_slice())
        );
        let event = accepted(r#"{"event":"ping","data":null,"timestamp":null}"#);
        assert_eq!(body(&event), filled);
        assert_eq!(
            lines(&event.warnings),
            [
                "/data is null, {} is sent instead",
                "/timestamp is null, the current time is sent instead"
            ]
        );
    }

    #[test]
    fn the_gateways_own_time_is_kept_as_it_came() {
        for (time, warns) in [
            (r#""2024-10-01T12:00:00.000Z""#, false),
            (r#""2024-10-01T14:00:00+02:00""#, false),
            (r#""2024-10-01T12:00:00""#, false),
            (r#""yesterday""#, true),
            (r#""""#, true),
            ("1727784000", true),
            ("1727784000.5", true),
        ] {
            let event = accepted(&format!(
                r#"{{"event":"ping","data":{{}},"timestamp":{time}}}"#
            ));
            assert!(
                body(&event).ends_with(&format!(r#""timestamp":{time}}}"#)),
                "{time}"
            );
            assert_eq!(!event.warnings.is_empty(), warns, "{time}");
        }
    }

    #[test]
    fn an_event_names_all_its_faults_at_once() {
        assert_eq!(
            rejected(r#"{"data":[],"timestamp":true}"#, Validation::Lenient),
            [
                "/event is missing",
                "/data must be an object, is an array",
                "/timestamp must be an ISO 8601 string, is a boolean"
            ]
        );
        assert_eq!(
            rejected(r#"{"event":"Ping!"}"#, Validation::Lenient),
            ["/event must match [a-z][a-z0-9_.:-]{0,63}"]
        );
        assert_eq!(
            rejected(r#"{"event":null}"#, Validation::Lenient),
            ["/event must be a string, is null"]
        );
        assert_eq!(
            rejected(r#"{"event":"\ud800"}"#, Validation::Lenient),
            ["/event must match [a-z][a-z0-9_.:-]{0,63}"]
        );
        assert_eq!(rejected("[1]", Validation::Lenient), [" must be an object"]);
    }

    #[test]
    fn what_is_not_json_is_told_with_the_byte() {
        let Err(Rejection::NotJson(fault)) = lenient(r#"{"event":"ping",}"#) else {
            panic!()
        };
        assert_eq!(fault.offset, 16);
        let deep = format!(
            r#"{{"event":"ping","data":{}1{}}}"#,
            "[".repeat(64),
            "]".repeat(64)
        );
        assert!(matches!(lenient(&deep), Err(Rejection::NotJson(_))));
    }

    #[test]
    fn strict_validation_forgives_nothing() {
        let raw = r#"{"event":"ready","data":null,"timestamp":"soon"}"#;
        let warnings = lines(&accepted(raw).warnings);
        assert_eq!(warnings.len(), 3);
        assert_eq!(rejected(raw, Validation::Strict), warnings);
        let raw = r#"{"event":"ping","data":null,"timestamp":{}}"#;
        assert_eq!(rejected(raw, Validation::Lenient).len(), 1);
        assert_eq!(rejected(raw, Validation::Strict).len(), 2);
    }

    #[test]
    fn a_repeated_request_repeats_the_id() {
        let id = |raw: &str| accepted(raw).id;
        let dated = r#"{"event":"ping","data":{"n":1},"timestamp":"2024-10-01"}"#;
        let respelled = r#"{ "timestamp":"2024-10-01", "event":"p\u0069ng", "data":{"n":1.0} }"#;
        assert_eq!(id(dated), id(respelled));
        assert_eq!(id(dated), EventId::for_body(&accepted(dated).body));
        assert_ne!(id(dated), id(&dated.replace("1}", "2}")));
        assert_ne!(id(r#"{"event":"ping","timestamp":1}"#), fresh());
    }

    #[test]
    fn an_event_without_a_time_gets_a_fresh_id() {
        assert_eq!(accepted(r#"{"event":"ping"}"#).id, fresh());
        assert_eq!(accepted(r#"{"event":"ping","timestamp":null}"#).id, fresh());
        // An overflow is null to every receiver.
        assert_eq!(
            accepted(r#"{"event":"ping","timestamp":1e999}"#).id,
            fresh()
        );
    }

    #[test]
    fn an_idempotency_key_is_the_id_and_no_other_is_made() {
        let key = EventId::parse("order-77").unwrap();
        for raw in [
            r#"{"event":"ping"}"#,
            r#"{"event":"ping","timestamp":"2024-10-01"}"#,
        ] {
            let context = Ingest {
                idempotency_key: Some(key.clone()),
                ..context(Validation::Strict)
            };
            let event = ingest(raw.as_bytes(), context, || panic!("made for nothing")).unwrap();
            assert_eq!(event.id, key);
        }
    }
}
