//! Events of Meta's Cloud API.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not cover shared functions"
)]

mod adapted;

use adapted::{check_table, events};
use serde_json::json;
use wahook_domain::json::parse;
use wahook_sources::{Kind, Refusal, Request, adapt};

#[test]
fn every_event_is_adapted() {
    check_table(Kind::Meta);
}

#[test]
fn sample_with_two_messages_is_two_events() {
    let (events, data) = events(Kind::Meta, "", include_str!("data/meta.json"));
    let [first, second] = [
        "wamid.HBgLMTU1NTAwMDExMTEVAgASGBQzQTRBQUFBQUFBQUFBQUFBQUFBQUE=",
        "wamid.HBgLMTU1NTAwMDExMTEVAgASGBQzQTRBQkJCQkJCQkJCQkJCQkJCQkI=",
    ];
    let about = |id: &str| format!("message_create | 106540352242922 | 15550001111 | {id} | {id}");
    let whole = "messages | 106540352242922 | 15550001111 | - | (content)".to_owned();
    assert_eq!(events, [whole, about(first), about(second)]);
    assert_eq!(
        data[0],
        json!({
            "id": {
                "fromMe": false, "remote": "15550001111@c.us", "id": first, "_serialized": first
            },
            "body": "Olá 👋🏽", "type": "chat", "timestamp": 1_732_780_000,
            "from": "15550001111@c.us", "to": "15550783881@c.us", "fromMe": false,
            "hasMedia": false, "isForwarded": false, "notifyName": "Ana Example",
            "_data": {
                "from": "15550001111", "id": first, "timestamp": "1732780000",
                "text": {"body": "Olá 👋🏽"}, "type": "text",
            },
        })
    );
}

#[test]
fn status_is_an_ack_with_a_documented_level() {
    for (status, level) in [
        ("failed", -1),
        ("sent", 1),
        ("delivered", 2),
        ("read", 3),
        ("played", 4),
    ] {
        let body = json!({"object": "whatsapp_business_account", "entry": [{"changes": [{
            "field": "messages",
            "value": {"statuses": [{"id": "wamid.1", "status": status, "recipient_id": "1555"}]},
        }]}]});
        let (events, data) = events(Kind::Meta, "", &body.to_string());
        assert_eq!(
            events[1],
            format!("message_ack | - | 1555 | wamid.1 | wamid.1 {level}")
        );
        assert_eq!(
            (&data[0]["ack"], &data[0]["_data"]["status"]),
            (&json!(level), &json!(status))
        );
        assert_eq!(data[0]["id"]["_serialized"], "wamid.1");
    }
}

#[test]
fn request_without_an_entry_is_refused() {
    for body in [
        "{}",
        "[]",
        r#"{"object":"whatsapp_business_account"}"#,
        r#"{"object":"whatsapp_business_account","entry":[]}"#,
        r#"{"object":"whatsapp_business_account","entry":[1]}"#,
        r#"{"object":"whatsapp_business_account","entry":[{"changes":[]}]}"#,
        r#"{"entry":[{"changes":[{}]}]}"#,
    ] {
        let refused = adapt(
            Kind::Meta,
            &Request::default(),
            parse(body.as_bytes()).unwrap(),
        );
        assert!(matches!(refused, Err(Refusal::NotAnEvent(_))), "{body}");
    }
}
