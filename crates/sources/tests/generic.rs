//! Requests of any sender of JSON as events.

use serde_json::json;
use wahook_sources::{Key, Kind};

mod table;

#[test]
fn requests_of_other_senders_become_events() {
    table::check(Kind::Generic, "generic");
}

#[test]
fn only_the_id_of_an_event_is_a_key() {
    for (body, key) in [
        (
            json!({"eventId": "e-1", "id": "m-1"}),
            Key::Text("e-1".to_owned()),
        ),
        (json!({"id": "m-1", "status": "read"}), Key::Content),
        (json!({"presence": "typing"}), Key::None),
    ] {
        assert_eq!(table::keys(Kind::Generic, &body), [key.clone(), key]);
    }
}
