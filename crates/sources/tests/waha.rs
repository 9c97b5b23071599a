//! Requests of WAHA as events.

use serde_json::{Value, json};
use wahook_sources::{Key, Kind};

mod table;

fn request(event: &str, id: &str, payload: &Value) -> Value {
    json!({"id": id, "timestamp": 1_732_780_000_123_u64, "event": event, "session": "default",
        "payload": payload})
}

fn keys(event: &str, id: &str, payload: &Value) -> Key {
    let [whole, part] = table::keys(Kind::Waha, &request(event, id, payload));
    assert_eq!(whole, part);
    whole
}

#[test]
fn requests_of_waha_become_events() {
    table::check(Kind::Waha, "waha");
}

#[test]
fn acknowledgements_of_waha_differ_by_level_and_participant() {
    let ack = |level: i8, by: &str| {
        let payload = json!({"id": "true_1203@g.us_3EB0AAAA", "ack": level, "participant": by});
        keys("message.ack.group", "evt_1", &payload)
    };
    let keys = [ack(1, "1@c.us"), ack(2, "1@c.us"), ack(2, "2@c.us")];
    let expected = ["1:1@c.us", "2:1@c.us", "2:2@c.us"];
    let expected = expected.map(|key| Key::Text(format!("true_1203@g.us_3EB0AAAA:{key}")));
    assert_eq!(keys, expected);
}

#[test]
fn message_of_waha_has_one_key_and_presences_have_many() {
    let message = json!({"id": "false_15550001111@c.us_3EB0AAAA", "fromMe": false});
    let twice = ["evt_1", "evt_2"].map(|id| keys("message", id, &message));
    assert_eq!(twice[0], twice[1]);
    let presence = json!({"id": "15550001111@c.us", "presences": []});
    let twice = ["evt_1", "evt_2"].map(|id| keys("presence.update", id, &presence));
    assert_ne!(twice[0], twice[1]);
}
