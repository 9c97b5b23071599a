//! Requests of wppconnect-server as events.

use serde_json::json;
use wahook_sources::{Key, Kind};

mod table;

#[test]
fn requests_of_wppconnect_become_events() {
    table::check(Kind::Wppconnect, "wppconnect");
}

#[test]
fn two_acknowledgements_of_a_message_have_distinct_keys() {
    let keys = [1, 2, 3].map(|level| {
        let id = json!({"fromMe": true, "_serialized": "true_15550001111@c.us_AA"});
        let ack = json!({"event": "onack", "session": "shop1", "id": id, "ack": level});
        let [whole, part] = table::keys(Kind::Wppconnect, &ack);
        assert_eq!(whole, part);
        whole
    });
    let expected = [1, 2, 3].map(|level| Key::Text(format!("true_15550001111@c.us_AA:{level}")));
    assert_eq!(keys, expected);
}
