//! Requests of wuzapi as events.

use serde_json::{Value, json};
use wahook_sources::{Key, Kind, Refusal, Request, adapt};

mod table;

fn receipt(level: &str, sender: &str) -> Value {
    json!({
        "type": "ReadReceipt",
        "event": {"Chat": "1203@g.us", "Sender": sender, "IsFromMe": false, "Type": level,
            "MessageIDs": ["3EB0AAAA"], "Timestamp": "2025-11-28T08:20:00Z"},
        "state": "Delivered",
    })
}

#[test]
fn requests_of_wuzapi_become_events() {
    table::check(Kind::Wuzapi, "wuzapi");
}

#[test]
fn acknowledgements_of_wuzapi_differ_by_level_and_participant() {
    let requests = [("", "1@lid"), ("read", "1@lid"), ("read", "2@lid")];
    let keys = requests.map(|(level, sender)| {
        let [whole, part] = table::keys(Kind::Wuzapi, &receipt(level, sender));
        assert_eq!(whole, part);
        whole
    });
    let expected = ["3EB0AAAA:2:1@lid", "3EB0AAAA:3:1@lid", "3EB0AAAA:3:2@lid"];
    assert_eq!(keys, expected.map(|key| Key::Text(key.to_owned())));
}

#[test]
fn body_of_another_sender_is_refused_by_name() {
    for (kind, name) in [
        (Kind::Waha, "WAHA"),
        (Kind::Gowa, "go-whatsapp-web-multidevice"),
        (Kind::Wuzapi, "wuzapi"),
    ] {
        let body = wahook_domain::json::parse(b"{\"hello\":1}").unwrap();
        match adapt(kind, &Request::default(), body) {
            Err(Refusal::NotAnEvent(reason)) => assert!(reason.contains(name), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}
