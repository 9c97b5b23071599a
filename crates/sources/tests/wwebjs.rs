//! Events of wwebjs-api and its forks.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not cover shared functions"
)]

mod adapted;

use adapted::{check_table, events};
use serde_json::json;
use wahook_sources::Kind;

fn wwebjs(body: &str) -> (Vec<String>, Vec<serde_json::Value>) {
    events(Kind::Wwebjs, "", body)
}

#[test]
fn every_event_is_adapted() {
    check_table(Kind::Wwebjs);
}

#[test]
fn sample_of_a_message_is_adapted() {
    let (events, data) = wwebjs(include_str!("data/wwebjs_message.json"));
    let id = "false_15550001111@c.us_3EB0AAAA";
    let about = format!("DEMO | 15550001111@c.us | {id} | {id}");
    assert_eq!(
        events,
        [
            format!("message | {about}"),
            format!("message_create | {about}")
        ]
    );
    assert_eq!(data[0]["body"], "Olá 👋🏽");
    assert_eq!(data[0]["notifyName"], "Ana Example");
    assert_eq!(data[0]["deviceType"], "android");
    assert!(data[0].get("_data").is_none());
}

#[test]
fn sample_of_an_ack_is_adapted() {
    let (events, data) = wwebjs(include_str!("data/wwebjs_message_ack.json"));
    let id = "false_15550001111@c.us_3EB0AAAA";
    assert_eq!(
        events[1],
        format!("message_ack | DEMO | 15550001111@c.us | {id} | {id} 3")
    );
    let id = json!({
        "fromMe": false, "remote": "15550001111@c.us", "id": "3EB0AAAA", "_serialized": id
    });
    assert_eq!(data, [json!({"id": id, "ack": 3})]);
}

#[test]
fn sample_without_data_is_adapted() {
    let (events, data) = wwebjs(include_str!("data/wwebjs_ready.json"));
    assert_eq!(events, ["ready | DEMO | - | - | (none)"; 2]);
    assert_eq!(data[0]["info"]["pushname"], "");
}

#[test]
fn group_events_have_the_documented_members() {
    let of = |event: &str, kind: &str| {
        let body = json!({"dataType": event, "sessionId": "DEMO", "data": {"notification": {
            "id": {"fromMe": false, "remote": "1203@g.us", "id": "17", "_serialized": "false_1203@g.us_17"},
            "body": "Cycling", "type": kind, "timestamp": 1_732_780_000, "chatId": "1203@g.us",
            "author": "15550001111@c.us", "recipientIds": ["15550003333@c.us"],
        }}});
        wwebjs(&body.to_string()).1.remove(0)
    };
    assert_eq!(
        of("group_join", "add"),
        json!({
            "chatId": "1203@g.us", "participants": ["15550003333@c.us"],
            "author": "15550001111@c.us", "type": "add",
        })
    );
    let changed = |subject: &str, description: &str, kind: &str| {
        json!({
            "chatId": "1203@g.us", "subject": subject, "description": description,
            "author": "15550001111@c.us", "type": kind,
        })
    };
    assert_eq!(
        of("group_update", "subject"),
        changed("Cycling", "", "subject")
    );
    assert_eq!(
        of("group_update", "description"),
        changed("", "Cycling", "description")
    );
    assert_eq!(of("group_update", "picture"), changed("", "", "picture"));
}

#[test]
fn request_without_a_type_is_refused() {
    use wahook_domain::json::parse;
    use wahook_sources::{Refusal, Request, adapt};
    for body in ["{}", "[]", r#"{"dataType":""}"#, r#"{"dataType":7}"#] {
        let payload = parse(body.as_bytes()).unwrap();
        let refused = adapt(Kind::Wwebjs, &Request::default(), payload);
        assert!(matches!(refused, Err(Refusal::NotAnEvent(_))), "{body}");
    }
}
