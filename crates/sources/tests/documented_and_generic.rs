//! Events in the documented form, and of any sender of JSON.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not cover shared functions"
)]

mod adapted;

use adapted::{check_table, events};
use wahook_domain::json::parse;
use wahook_sources::{Kind, Refusal, Request, adapt};

#[test]
fn every_documented_event_is_adapted() {
    check_table(Kind::Wahook);
}

#[test]
fn documented_data_stays() {
    for event in wahook_domain::samples() {
        let (_, data) = events(Kind::Wahook, "", event);
        let event: serde_json::Value = serde_json::from_str(event).unwrap();
        assert_eq!(data, [event["data"].clone()]);
    }
}

#[test]
fn every_other_event_is_adapted() {
    check_table(Kind::Generic);
}

#[test]
fn documented_event_without_a_name_is_refused() {
    for body in ["{}", "[]", r#"{"event":1}"#, r#"{"event":"42"}"#] {
        let payload = parse(body.as_bytes()).unwrap();
        let refused = adapt(Kind::Wahook, &Request::default(), payload);
        assert!(matches!(refused, Err(Refusal::NotAnEvent(_))), "{body}");
    }
}
