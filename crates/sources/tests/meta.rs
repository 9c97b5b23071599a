//! Requests of Meta's Cloud API as events.

use serde_json::json;
use wahook_domain::json::parse;
use wahook_sources::{Key, Kind, Refusal, Request, adapt};

mod table;

#[test]
fn requests_of_meta_become_events() {
    table::check(Kind::Meta, "meta");
}

#[test]
fn two_statuses_of_a_message_have_distinct_keys() {
    let levels = [
        ("failed", -1),
        ("sent", 1),
        ("delivered", 2),
        ("read", 3),
        ("played", 4),
    ];
    for (status, level) in levels {
        let status = json!({"id": "wamid.1", "status": status, "recipient_id": "15550001111"});
        let change = json!({"field": "messages", "value": {"statuses": [status]}});
        let body = json!({"object": "whatsapp_business_account", "entry": [{"changes": [change]}]});
        let key = Key::Text(format!("wamid.1 {level}"));
        assert_eq!(table::keys(Kind::Meta, &body), [key.clone(), key]);
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
        let payload = parse(body.as_bytes()).unwrap();
        let refused = adapt(Kind::Meta, &Request::default(), payload);
        assert!(matches!(refused, Err(Refusal::NotAnEvent(_))), "{body}");
    }
}
