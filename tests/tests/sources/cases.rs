//! Sample requests of the gateways, with the events that they must become.

use std::fs;

use serde_json::{Number, Value};
use wahook_tests::workspace;

pub(crate) const KINDS: [&str; 10] = [
    "wahook",
    "waha",
    "evolution",
    "wwebjs",
    "wppconnect",
    "open-wa",
    "gowa",
    "wuzapi",
    "meta",
    "generic",
];

/// Request with the identity of the whole, and its events in the documented form.
pub(crate) struct Case {
    pub(crate) about: String,
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) whole: Value,
    pub(crate) parts: Vec<Value>,
}

/// Returns the requests of a kind: those of the tests of the crate `sources`.
pub(crate) fn cases(kind: &str) -> Vec<Case> {
    let folder = workspace().join("crates/sources/tests/data");
    let lines = fs::read_to_string(folder.join(format!("{kind}.jsonl"))).unwrap();
    let case = |line: &str| {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
        let body = match case["file"].as_str() {
            Some(file) => fs::read_to_string(folder.join(file)).unwrap(),
            None => case["body"].to_string(),
        };
        Case {
            about: text("about"),
            path: text("path"),
            body,
            whole: case["whole"].clone(),
            parts: case["parts"].as_array().unwrap().clone(),
        }
    };
    lines.lines().map(case).collect()
}

/// Returns the first request of a kind with one event for which this is true.
pub(crate) fn case_with(kind: &str, is_it: impl Fn(&Value) -> bool) -> Option<Case> {
    let is_single = |case: &Case| case.parts.len() == 1 && is_it(&case.parts[0]);
    cases(kind).into_iter().find(is_single)
}

/// Returns the value with numbers as JavaScript reads them.
pub(crate) fn as_in_javascript(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let float = Number::from_f64(number.as_f64().unwrap());
            float.map_or(Value::Null, Value::Number)
        }
        Value::Array(items) => items.iter().map(as_in_javascript).collect(),
        Value::Object(members) => {
            let members = members.iter();
            let members = members.map(|(name, value)| (name.clone(), as_in_javascript(value)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}
