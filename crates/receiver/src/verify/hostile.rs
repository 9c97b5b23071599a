//! Fuzz test: headers and bodies of webhooks.

use axum::http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use wahook_hostile::{cases, damaged};

use super::*;

const VALUES: &[&str] = &[
    "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4= v1,AAAA v1a,x",
    "5f1c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a",
    "sha256=5F1C0D0E",
    "1727784000",
    "-9223372036854775808",
    "99999999999999999999",
    "evt_1",
    "",
];
const BODIES: &[&str] = &[
    r#"{"event":"ready","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#,
    "{\"event\": \"ready\", \"data\": [1.0, 1e400, \"\\ud800\"]}\r\n",
    "[[[[[[[[[[[[[[[[",
    "",
];

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn hostile_webhook_gets_a_verdict_and_is_never_valid(
        values in prop::array::uniform4(damaged(VALUES)),
        body in damaged(BODIES),
        arrived in 0..4_000_000_000_000_i64,
    ) {
        let names = ["x-webhook-signature", "webhook-id", "webhook-timestamp", "webhook-signature"];
        let mut headers = HeaderMap::new();
        for (name, value) in names.into_iter().zip(values) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                headers.append(HeaderName::from_static(name), value);
            }
        }
        let keys = Keys::new("a secret that no sender has".to_owned()).unwrap();
        let arrived = UnixMillis::new(arrived);
        let verdict = verify(&headers, &body, Some(&keys), arrived, EarlierRequests::default());
        let is_refused = |check: &Check| matches!(check, Check::Invalid(fault) if !fault.to_string().is_empty());
        prop_assert!(is_refused(&verdict.body_signature) && is_refused(&verdict.standard_webhooks));
        let _without_secret = verify(&headers, &body, None, arrived, EarlierRequests::default());
    }
}
