//! Requests of go-whatsapp-web-multidevice as events.

use serde_json::{Value, json};
use wahook_sources::{Key, Kind};

mod table;

fn ack(level: &str, from: &str) -> Value {
    json!({
        "event": "message.ack",
        "device_id": "15550002222@s.whatsapp.net",
        "timestamp": "2025-11-28T08:20:00Z",
        "payload": {"ids": ["3EB0AAAA"], "chat_id": "1203@g.us", "from": from,
            "receipt_type": level},
    })
}

#[test]
fn requests_of_gowa_become_events() {
    table::check(Kind::Gowa, "gowa");
}

#[test]
fn acknowledgements_of_gowa_differ_by_level_and_participant() {
    let requests = [("delivered", "1@lid"), ("read", "1@lid"), ("read", "2@lid")];
    let keys = requests.map(|(level, from)| {
        let [whole, part] = table::keys(Kind::Gowa, &ack(level, from));
        assert_eq!(whole, part);
        whole
    });
    let expected = ["3EB0AAAA:2:1@lid", "3EB0AAAA:3:1@lid", "3EB0AAAA:3:2@lid"];
    assert_eq!(keys, expected.map(|key| Key::Text(key.to_owned())));
}
