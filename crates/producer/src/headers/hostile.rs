//! Fuzz test: headers of a request with events.

use proptest::{collection::vec, prelude::*};
use wahook_hostile::{cases, damaged};

use super::*;

const VALUES: &[&str] = &[
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
    "ff-00000000000000000000000000000000-0000000000000000-00-more",
    "evt_0192f3a4",
    "a, b",
    "15550001111@c.us",
    "congo=t61rcWkgMzE,fw529a3039@dt=1",
    "userId=alice;p=1,b=%20",
    "",
];

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn hostile_traceparent_is_ignored_or_kept_unchanged(bytes in damaged(VALUES)) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let headers = HeaderMap::from_iter([("traceparent".parse().unwrap(), value)]);
        if let Some(kept) = trace::traceparent(&headers) {
            prop_assert_eq!(kept.as_bytes(), &bytes);
            prop_assert!(kept.len() == 55 && kept.is_ascii());
        }
    }

    #[test]
    fn hostile_context_is_dropped_or_can_be_a_header(lines in vec(damaged(VALUES), 0..4)) {
        let values = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
        let both = values.flat_map(|v| ["tracestate", "baggage"].map(|name| (name, v.clone())));
        let both = both.map(|(name, value)| (HeaderName::from_static(name), value));
        let headers: HeaderMap = both.collect();
        if let Some(kept) = trace::propagated(&headers, true) {
            prop_assert!(kept.size() <= 512 + 2_048);
            for text in kept.tracestate.iter().chain(&kept.baggage) {
                prop_assert!(HeaderValue::from_str(text).is_ok() && text.is_ascii());
            }
        }
    }

    #[test]
    fn hostile_webhook_key_is_refused_or_kept_unchanged(bytes in damaged(VALUES)) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let headers = HeaderMap::from_iter([("x-webhook-key".parse().unwrap(), value)]);
        if let Ok(key) = order_key(&headers) {
            let key = key.unwrap();
            prop_assert_eq!(key.as_str().as_bytes(), [b"k:", &bytes[..]].concat());
            prop_assert_eq!(OrderKey::parse(key.as_str()), Ok(key));
        }
    }

    #[test]
    fn hostile_idempotency_key_is_refused_kept_or_hashed(bytes in damaged(VALUES)) {
        let Ok(value) = HeaderValue::from_bytes(&bytes) else { return Ok(()) };
        let headers = HeaderMap::from_iter([("idempotency-key".parse().unwrap(), value)]);
        if let Ok(key) = idempotency_key(&headers) {
            let key = key.unwrap();
            let quoted = bytes.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
            let sent = quoted.unwrap_or(&bytes);
            match EventId::parse(std::str::from_utf8(sent).unwrap()) {
                Ok(id) => prop_assert_eq!(key, id),
                Err(_) => prop_assert!(key.as_str().starts_with("key_")),
            }
        }
    }
}
