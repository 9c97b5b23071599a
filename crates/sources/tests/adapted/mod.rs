//! Table of requests and their events.

use std::{fs, path::Path};

use serde_json::Value;
use wahook_domain::{
    EventId, Ingest, UnixMillis, Validation, ingest,
    json::{self, Node, Text},
};
use wahook_sources::{Identity, Key, Kind, Part, Request, adapt};

/// Returns the identity of the whole request and of each event, as
/// `name | session | chat | message id | key`, and the data of each event. The documented form of
/// each event is checked strictly.
pub fn events(kind: Kind, path: &str, body: &str) -> (Vec<String>, Vec<Value>) {
    let request = Request {
        path,
        body: body.as_bytes(),
        ..Request::default()
    };
    let adapted = adapt(kind, &request, json::parse(body.as_bytes()).unwrap()).unwrap();
    let mut lines = vec![line(&adapted.whole)];
    let mut data = Vec::new();
    for part in adapted.parts {
        lines.push(line(&part.identity));
        data.push(checked(part, body));
    }
    (lines, data)
}

/// Compares the events of each line `{"path", "request", "events"}` of the kind's table.
pub fn check_table(kind: Kind) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let table = fs::read_to_string(folder.join(format!("{kind}.jsonl"))).unwrap();
    assert!(table.lines().count() > 10);
    for row in table.lines() {
        let row: Value = serde_json::from_str(row).unwrap();
        let body = row["request"].to_string();
        let path = row["path"].as_str().unwrap_or_default();
        let (found, _) = events(kind, path, &body);
        assert_eq!(found, *row["events"].as_array().unwrap(), "{body}");
    }
}

fn line(identity: &Identity) -> String {
    let key = match &identity.key {
        Key::Text(key) => key,
        Key::Content => "(content)",
        Key::None => "(none)",
    };
    let or_none = |member: &Option<String>| member.clone().unwrap_or("-".to_owned());
    [
        identity.name.as_str(),
        &or_none(&identity.session),
        &or_none(&identity.chat),
        &or_none(&identity.message_id),
        key,
    ]
    .join(" | ")
}

fn checked(part: Part<'_>, body: &str) -> Value {
    let name = part.identity.name.as_str().to_owned();
    let mut data = Vec::new();
    json::print(&part.data, &mut data);
    let members = [("event", Node::Text(Text::new(&name))), ("data", part.data)];
    let members = members.map(|(key, value)| (Text::new(key), value));
    let mut envelope = Vec::new();
    json::print(&Node::Object(members.into_iter().collect()), &mut envelope);
    let context = Ingest {
        validation: Validation::Strict,
        now: part.timestamp.unwrap_or(UnixMillis::new(0)),
        idempotency_key: None,
    };
    let accepted = ingest(&envelope, context, || EventId::parse("fresh").unwrap());
    let accepted = accepted.unwrap_or_else(|fault| panic!("{fault:?} in {body}"));
    assert_eq!(accepted.warnings, [], "{body}");
    serde_json::from_slice(&data).unwrap()
}
