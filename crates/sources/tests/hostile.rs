//! Damaged requests of every kind.

use proptest::prelude::*;
use wahook_domain::json::parse;
use wahook_sources::{Kind, Request, adapt};

const REQUESTS: &[&str] = &[
    include_str!("data/meta.json"),
    include_str!("data/wwebjs_message.json"),
    include_str!("data/wwebjs_message_ack.json"),
    r#"{"event":"message_create","data":{"id":{"_serialized":"true_1@c.us_A"},"from":"1@c.us"}}"#,
    r#"{"dataType":"group_join","data":{"notification":{"chatId":"1@g.us","recipientIds":["2"]}}}"#,
    r#"{"entry":[{"changes":[{"field":"calls","value":{"calls":[{"id":"a","event":"connect"}]}}]}]}"#,
];

proptest! {
    #![proptest_config(wahook_hostile::cases(512))]

    #[test]
    fn hostile_request_is_adapted_or_refused(
        body in wahook_hostile::damaged(REQUESTS),
        path in wahook_hostile::damaged_text(&["", "messages-upsert", "a/b"]),
    ) {
        let request = Request { path: &path, body: &body, ..Request::default() };
        for kind in Kind::ALL {
            let Ok(payload) = parse(&body) else {
                continue;
            };
            if let Ok(adapted) = adapt(kind, &request, payload) {
                prop_assert!(!adapted.parts.is_empty(), "{}", kind);
            }
        }
    }
}
