//! Requests of open-wa as events.

use serde_json::json;
use wahook_sources::{Key, Kind};

mod table;

#[test]
fn requests_of_open_wa_become_events() {
    table::check(Kind::OpenWa, "open-wa");
}

#[test]
fn two_acknowledgements_of_a_message_have_distinct_keys() {
    let keys = [1, 2, 3].map(|level| {
        let data = json!({"id": "true_15550001111@c.us_AA", "ack": level});
        let ack = json!({"event": "onAck", "sessionId": "session", "id": "1", "data": data});
        let [whole, part] = table::keys(Kind::OpenWa, &ack);
        assert_eq!(whole, part);
        whole
    });
    let expected = [1, 2, 3].map(|level| Key::Text(format!("true_15550001111@c.us_AA:{level}")));
    assert_eq!(keys, expected);
}
