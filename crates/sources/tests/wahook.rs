//! Requests in the documented form as events.

use serde_json::{Value, json};
use wahook_domain::json::parse;
use wahook_sources::{Key, Kind, Refusal, Request, adapt};

mod table;

#[test]
fn documented_requests_become_events() {
    table::check(Kind::Wahook, "wahook");
}

#[test]
fn documented_data_stays() {
    for sample in wahook_domain::samples() {
        let body: Value = serde_json::from_str(sample).unwrap();
        let found = table::found(Kind::Wahook, &json!({"body": body}));
        assert_eq!(found["parts"][0]["data"], body["data"]);
    }
}

#[test]
fn two_acknowledgements_of_a_message_have_distinct_keys() {
    let id = "true_15550001111@c.us_3EB0AAAA";
    let keys = [2, 3].map(|level| {
        let data = json!({"id": {"_serialized": id}, "ack": level});
        let [whole, _] = table::keys(Kind::Wahook, &json!({"event": "message_ack", "data": data}));
        whole
    });
    assert_eq!(keys, [2, 3].map(|level| Key::Text(format!("{id} {level}"))));
}

#[test]
fn request_without_a_name_is_refused() {
    for body in ["{}", "[]", r#"{"event":1}"#, r#"{"event":"42"}"#] {
        let payload = parse(body.as_bytes()).unwrap();
        let refused = adapt(Kind::Wahook, &Request::default(), payload);
        assert!(matches!(refused, Err(Refusal::NotAnEvent(_))), "{body}");
    }
}
