//! Requests of wwebjs-api and its forks as events.

use serde_json::{Value, json};
use wahook_domain::json::parse;
use wahook_sources::{Key, Kind, Refusal, Request, adapt};

mod table;

const ID: &str = "true_15550001111@c.us_3EB0AAAA";

fn about_message(event: &str, ack: i8) -> Value {
    let id = json!({
        "fromMe": true, "remote": "15550001111@c.us", "id": "3EB0AAAA", "_serialized": ID,
    });
    let message = json!({
        "id": id, "body": "", "from": "15550002222@c.us", "to": "15550001111@c.us",
    });
    json!({"dataType": event, "sessionId": "DEMO", "data": {"message": message, "ack": ack}})
}

#[test]
fn requests_of_wwebjs_become_events() {
    table::check(Kind::Wwebjs, "wwebjs");
}

#[test]
fn two_acknowledgements_of_a_message_have_distinct_keys() {
    let keys = [-1, 2, 3].map(|level| {
        let [whole, part] = table::keys(Kind::Wwebjs, &about_message("message_ack", level));
        assert_eq!(whole, part);
        whole
    });
    assert_eq!(
        keys,
        [-1, 2, 3].map(|level| Key::Text(format!("{ID} {level}")))
    );
}

#[test]
fn incoming_message_is_one_documented_event() {
    let [_, message] = table::keys(Kind::Wwebjs, &about_message("message", 1));
    let [_, created] = table::keys(Kind::Wwebjs, &about_message("message_create", 1));
    assert_eq!(message, created);
}

#[test]
fn request_without_a_type_is_refused() {
    for body in ["{}", "[]", r#"{"dataType":""}"#, r#"{"dataType":7}"#] {
        let payload = parse(body.as_bytes()).unwrap();
        let refused = adapt(Kind::Wwebjs, &Request::default(), payload);
        assert!(matches!(refused, Err(Refusal::NotAnEvent(_))), "{body}");
    }
}
