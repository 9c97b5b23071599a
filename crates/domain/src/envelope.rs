//! Ingestion: turns a request of a gateway into an accepted event with defaults
//! and an id, or rejects it with all faults.

use crate::{
    body::EventBody,
    canonical::in_order,
    documented,
    event::{EventName, InvalidEventName},
    fault::Fault,
    id::{ContentHash, EventId},
    json::{self, JsonFault, Node, Object, Text},
    order::OrderKey,
    time::UnixMillis,
    validation::Validation,
};

/// Context of a request.
#[derive(Debug, Clone)]
pub struct Ingest {
    pub validation: Validation,
    /// Timestamp for an event that has none.
    pub now: UnixMillis,
    /// Id from the request's `Idempotency-Key` header.
    pub idempotency_key: Option<EventId>,
}

/// Event that can be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedEvent {
    pub id: EventId,
    /// Hash of what the gateway sent; `None` if the id is fresh.
    pub content: Option<ContentHash>,
    pub name: EventName,
    /// Chat that the data names.
    pub key: Option<OrderKey>,
    /// Bytes to queue, sign and send.
    pub body: EventBody,
    /// Deviations from the documented format.
    pub warnings: Vec<Fault>,
}

/// Reason why an event is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("not JSON: {0}")]
    NotJson(#[from] JsonFault),
    /// JSON, but not an event; holds all faults.
    #[error("not an event: {} faults", .0.len())]
    Invalid(Vec<Fault>),
}

/// Parses a gateway's event and returns it in canonical form, with its id.
///
/// The members `event`, `data` and `timestamp` come first, in this order, then
/// all others in their order; only keys that are array indices (`"0"`) precede
/// them, because ECMAScript puts those first in every object. Missing data
/// becomes `{}`, a missing timestamp becomes `now`.
///
/// The id is the idempotency key, if given. Otherwise, if the gateway gave a
/// timestamp, the id is derived from the body, so that a repeated request has the
/// same id. Otherwise it is `fresh_id`: with a filled-in timestamp, two equal
/// events cannot be distinguished from a repeat.
///
/// # Errors
/// All faults at once, when the text is not JSON or not an event, or, under strict
/// validation, when anything differs from the documented format.
pub fn ingest(
    raw: &[u8],
    context: Ingest,
    fresh_id: impl FnOnce() -> EventId,
) -> Result<AcceptedEvent, Rejection> {
    let mut findings = Findings::default();
    let (mut node, is_changed) = json::parse_and_compare(raw)?;
    if is_changed {
        // Only one tree at a time is in memory.
        drop(node);
        let changes;
        (node, changes) = json::parse_and_list_changes(raw)?;
        findings.changes(changes);
    }
    let Node::Object(mut members) = node else {
        return Err(Rejection::Invalid(vec![Fault::new(
            "",
            "must be an object",
        )]));
    };
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
    let key = OrderKey::of_data(&data);
    let envelope = in_order(&name, data, timestamp, members);
    let body = EventBody::of(&envelope, raw.len());
    let (id, content) = match context.idempotency_key {
        Some(key) if !gateway_gave_time => (key, Some(timeless_content(envelope, raw.len()))),
        Some(key) => (key, Some(ContentHash::of(&body))),
        None if gateway_gave_time => {
            let content = ContentHash::of(&body);
            (content.into(), Some(content))
        }
        None => (fresh_id(), None),
    };
    Ok(AcceptedEvent {
        id,
        content,
        name,
        key,
        body,
        warnings: findings.warnings,
    })
}

/// Returns the hash of an event whose timestamp was filled in: a repeat has another one.
fn timeless_content(mut envelope: Node<'_>, size_hint: usize) -> ContentHash {
    if let Node::Object(members) = &mut envelope {
        members.remove("timestamp");
    }
    ContentHash::of(&EventBody::of(&envelope, size_hint))
}

/// Faults found during ingestion.
#[derive(Default)]
struct Findings {
    /// Rejected by every validation.
    faults: Vec<Fault>,
    /// Accepted by lenient validation.
    warnings: Vec<Fault>,
}

impl Findings {
    fn changes(&mut self, changes: Vec<json::Change>) {
        let faults = changes
            .into_iter()
            .map(|c| Fault::new(c.pointer, c.message));
        self.warnings.extend(faults);
    }

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

    /// Returns the timestamp to keep, `None` if it must be filled in, and true if
    /// the gateway gave one.
    fn timestamp<'a>(&mut self, timestamp: Option<Node<'a>>) -> (Option<Node<'a>>, bool) {
        let warning = match &timestamp {
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
        let warning = warning.map(|message| Fault::new("/timestamp", message));
        self.warnings.extend(warning);
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

/// Accepts times with or without an offset from UTC, and dates alone.
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
    fn array_index_keys_precede_the_envelope_as_in_ecmascript() {
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
    fn timestamp_of_the_gateway_is_kept_unchanged() {
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
    fn all_faults_are_reported_at_once() {
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
    fn invalid_json_is_rejected_with_its_offset() {
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
    fn strict_validation_rejects_every_deviation() {
        let raw = r#"{"event":"ready","data":null,"timestamp":"soon"}"#;
        let warnings = lines(&accepted(raw).warnings);
        assert_eq!(warnings.len(), 3);
        assert_eq!(rejected(raw, Validation::Strict), warnings);
        let raw = r#"{"event":"ping","data":null,"timestamp":{}}"#;
        assert_eq!(rejected(raw, Validation::Lenient).len(), 1);
        assert_eq!(rejected(raw, Validation::Strict).len(), 2);
    }

    #[test]
    fn changed_values_are_warnings_and_strict_validation_rejects_them() {
        let raw = r#"{"event":"ping","data":{"id":9007199254740993,"n":1e999,"a":1,"a":2}}"#;
        let warnings = lines(&accepted(raw).warnings);
        let pointers: Vec<_> = warnings
            .iter()
            .filter_map(|w| w.split(' ').next())
            .collect();
        assert_eq!(pointers, ["/data/id", "/data/n", "/data/a"]);
        assert_eq!(rejected(raw, Validation::Strict), warnings);
    }

    #[test]
    fn key_is_the_chat_that_the_data_names() {
        let key = |raw: &str| accepted(raw).key.map(|key| key.to_string());
        let raw = r#"{"event":"message_edit","data":{"from":"1@c.us","body":"a"}}"#;
        assert_eq!(key(raw).unwrap(), "c:1@c.us");
        let no_chat = r#"{"event":"ready","data":{"info":{}},"from":"1@c.us"}"#;
        assert_eq!(key(no_chat), None);
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
        // A number that overflows is null for every receiver.
        assert_eq!(
            accepted(r#"{"event":"ping","timestamp":1e999}"#).id,
            fresh()
        );
    }

    #[test]
    fn content_of_a_key_is_what_the_gateway_sent() {
        let content = |raw: &str, now: i64| {
            let context = Ingest {
                idempotency_key: Some(fresh()),
                now: UnixMillis::new(now),
                ..context(Validation::Lenient)
            };
            ingest(raw.as_bytes(), context, fresh).unwrap().content
        };
        let undated = r#"{"event":"ping","data":{"n":1}}"#;
        assert_eq!(content(undated, 1_000), content(undated, 2_000));
        assert_ne!(
            content(undated, 1_000),
            content(r#"{"event":"ping"}"#, 1_000)
        );
        let dated = r#"{"event":"ping","timestamp":"2024-10-01"}"#;
        assert_eq!(content(dated, 1_000), content(dated, 2_000));
        assert_eq!(content(dated, 1_000), accepted(dated).content);
        assert_eq!(accepted(undated).content, None);
    }

    #[test]
    fn idempotency_key_is_the_id_and_no_fresh_id_is_made() {
        let key = EventId::parse("order-77").unwrap();
        for raw in [
            r#"{"event":"ping"}"#,
            r#"{"event":"ping","timestamp":"2024-10-01"}"#,
        ] {
            let context = Ingest {
                idempotency_key: Some(key.clone()),
                ..context(Validation::Strict)
            };
            let event = ingest(raw.as_bytes(), context, || panic!("no fresh id")).unwrap();
            assert_eq!(event.id, key);
        }
    }
}
