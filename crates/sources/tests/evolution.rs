//! Requests of Evolution API as events.

use serde_json::{Value, json};
use wahook_sources::{Key, Kind};

mod table;

fn ack(status: &str) -> Value {
    json!({
        "event": "messages.update",
        "instance": "shop1",
        "data": {"keyId": "3EB0AAAA", "remoteJid": "15550001111@s.whatsapp.net", "fromMe": true,
            "status": status},
        "date_time": "2025-11-28T08:20:00.000Z",
    })
}

#[test]
fn requests_of_evolution_become_events() {
    table::check(Kind::Evolution, "evolution");
}

#[test]
fn two_acknowledgements_of_a_message_have_distinct_keys() {
    let keys = ["SERVER_ACK", "DELIVERY_ACK", "READ"].map(|status| {
        let [whole, part] = table::keys(Kind::Evolution, &ack(status));
        assert_eq!(whole, part);
        whole
    });
    let expected = ["3EB0AAAA:1", "3EB0AAAA:2", "3EB0AAAA:3"];
    assert_eq!(keys, expected.map(|key| Key::Text(key.to_owned())));
}
