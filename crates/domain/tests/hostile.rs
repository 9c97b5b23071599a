//! Fuzz tests: texts from receivers, gateways and operators.

use std::time::Duration;

use proptest::prelude::*;
use wahook_domain::{
    EndpointName, EventId, EventName, EventPattern, InvalidSecret, MAX_RETRY_AFTER, Secret, Signer,
    UnixMillis, parse_retry_after,
};
use wahook_hostile::{cases, damaged_text};

const RETRY_AFTER: &[&str] = &[
    "0",
    "120",
    "18446744073709551616",
    " 5 ",
    "-1",
    "1e3",
    "Tue, 01 Oct 2024 12:00:30 GMT",
    "Tuesday, 01-Oct-24 12:00:30 GMT",
    "Tue Oct  1 12:00:30 2024",
    "Thu, 31 Dec 9999 23:59:59 GMT",
    "Sun, 00 Jan 0000 00:00:00 GMT",
];
const BYTE_ORDER_MARK: char = '\u{feff}';

const SECRETS: &[&str] = &[
    "",
    "secret",
    "whsec_",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS=",
    "whsec_====",
    "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    " whsec_AAAA\n",
];
const NAMES: &[&str] = &[
    "message_create",
    "message_*",
    "*",
    "**",
    "default",
    "crm-2",
    "evt_0192f3a4",
    "a.b:c-d_e",
    "../etc/passwd",
    "Ünïcode",
    "a\u{200b}b",
];

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn hostile_retry_after_is_ignored_or_at_most_an_hour(text in damaged_text(RETRY_AFTER), now in any::<i64>()) {
        let delay = parse_retry_after(&text, UnixMillis::new(now));
        prop_assert!(delay.is_none_or(|delay| delay <= MAX_RETRY_AFTER));
        if let Ok(seconds) = text.parse::<u32>() && !text.starts_with('+') {
            let expected = Duration::from_secs(seconds.into()).min(MAX_RETRY_AFTER);
            prop_assert_eq!(delay, Some(expected));
        }
    }

    #[test]
    fn hostile_secret_is_refused_or_signs(text in damaged_text(SECRETS), body in any::<Vec<u8>>()) {
        match Secret::new(text.clone()) {
            Ok(secret) => {
                prop_assert_eq!(format!("{secret:?}"), "[redacted]");
                let signer = Signer::new(secret, None).unwrap();
                let signature = signer.body_signature(&body);
                prop_assert_eq!(signature.len(), 64);
                prop_assert!(signature.bytes().all(|byte| byte.is_ascii_hexdigit()));
            }
            Err(InvalidSecret::Empty) => prop_assert!(text.is_empty() || text.starts_with("whsec_")),
            Err(InvalidSecret::NotBase64) => prop_assert!(text.starts_with("whsec_")),
            Err(InvalidSecret::ByteOrderMark) => prop_assert!(text.starts_with(BYTE_ORDER_MARK)),
            Err(InvalidSecret::Quoted) => prop_assert!(text.ends_with(['"', '\''])),
            Err(InvalidSecret::Versioned) => prop_assert!(text.to_lowercase().starts_with("v1,whsec_")),
            Err(InvalidSecret::PrefixCase) => prop_assert!(text.to_lowercase().starts_with("whsec_")),
        }
    }

    #[test]
    fn hostile_name_is_refused_or_kept_unchanged(text in damaged_text(NAMES)) {
        if let Ok(id) = EventId::parse(&text) {
            prop_assert_eq!(id.as_str(), &text);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        if let Ok(name) = EventName::parse(&text) {
            prop_assert_eq!(name.as_str(), &text);
            let pattern: EventPattern = text.parse().unwrap();
            prop_assert!(pattern.takes(&name));
        }
        if let Ok(name) = EndpointName::parse(&text) {
            prop_assert_eq!(name.as_str(), &text);
            // Part of a queue's name and of metric labels.
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }
}
