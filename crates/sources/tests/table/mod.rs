//! Table of requests with the events that they must become.
//!
//! Each line of a table is `{about, path, body or file, whole, parts}`. `whole` and the items of
//! `parts` are `{name, session, chat, messageId, key, timestamp, data}`; members without a value
//! are left out. A key is a text, or `true` for the whole body.

#![cfg(test)]

use std::{fs, path::PathBuf};

use serde_json::{Map, Value, json};
use wahook_domain::{EventId, Ingest, UnixMillis, Validation, ingest, json::print};
use wahook_sources::{Adapted, Identity, Key, Kind, Part, Received, Request, adapt};

/// Checks each line of `tests/data/{table}.jsonl`.
pub(crate) fn check(kind: Kind, table: &str) {
    let lines = fs::read_to_string(data(&format!("{table}.jsonl"))).unwrap();
    for line in lines.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let about = &case["about"];
        let found = found(kind, &case);
        assert_eq!(found["whole"], case["whole"], "{table}: {about}: {found:#}");
        assert_eq!(found["parts"], case["parts"], "{table}: {about}: {found:#}");
    }
}

/// Returns what a request becomes, in the form of the table.
pub(crate) fn found(kind: Kind, case: &Value) -> Value {
    let body = match case["file"].as_str() {
        Some(file) => fs::read_to_string(data(file)).unwrap(),
        None => case["body"].to_string(),
    };
    with_events(kind, path(case), &body, |adapted| {
        with_events(kind, path(case), &body, |again| assert_eq!(adapted, again));
        for part in &adapted.parts {
            assert_documented(part);
        }
        let parts: Vec<_> = adapted.parts.iter().map(part).collect();
        json!({"whole": identity(&adapted.whole), "parts": parts})
    })
}

/// Returns the keys of a request: as received, and of its first event.
pub(crate) fn keys(kind: Kind, body: &Value) -> [Key; 2] {
    with_events(kind, "", &body.to_string(), |adapted| {
        [
            adapted.whole.key.clone(),
            adapted.parts[0].identity.key.clone(),
        ]
    })
}

fn with_events<T>(kind: Kind, path: &str, body: &str, read: impl FnOnce(&Adapted<'_>) -> T) -> T {
    let request = Request {
        path,
        content_type: Some("application/json"),
        body: body.as_bytes(),
        ..Request::default()
    };
    let received = Received::read(&request).unwrap();
    let adapted = adapt(kind, &request, received.parse().unwrap()).unwrap();
    read(&adapted)
}

/// The composed event must be accepted under strict validation: its data is as documented.
fn assert_documented(part: &Part<'_>) {
    let name = part.identity.name.as_str();
    let data = data_of(part);
    let event = json!({"event": name, "data": data, "timestamp": "2024-10-01T12:00:00.000Z"});
    let context = Ingest {
        validation: Validation::Strict,
        now: UnixMillis::new(0),
        idempotency_key: None,
    };
    let id = || EventId::parse("fresh").unwrap();
    let accepted = ingest(event.to_string().as_bytes(), context, id).unwrap();
    assert_eq!(accepted.warnings, [], "{name}");
}

fn part(part: &Part<'_>) -> Value {
    let mut found = identity(&part.identity);
    if let Some(timestamp) = part.timestamp {
        found["timestamp"] = timestamp.get().into();
    }
    found["data"] = data_of(part);
    found
}

fn identity(identity: &Identity) -> Value {
    let key = match &identity.key {
        Key::Text(key) => Some(key.as_str().into()),
        Key::Content => Some(true.into()),
        Key::None => None,
    };
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let members = [
        ("name", Some(identity.name.as_str().into())),
        ("session", text(&identity.session)),
        ("chat", text(&identity.chat)),
        ("messageId", text(&identity.message_id)),
        ("key", key),
    ];
    let members = members.into_iter();
    let members: Map<_, _> = members
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    Value::Object(members)
}

fn data_of(part: &Part<'_>) -> Value {
    let mut data = Vec::new();
    print(&part.data, &mut data);
    serde_json::from_slice(&data).unwrap()
}

fn path(case: &Value) -> &str {
    case["path"].as_str().unwrap_or_default()
}

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}
