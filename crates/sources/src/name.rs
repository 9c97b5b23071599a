//! Names of gateways' events as event names.

use wahook_domain::EventName;

/// Longest event name, in bytes.
const MAX_LENGTH: usize = 64;

/// Returns the gateway's name of an event as an event name: in lower case, words that begin
/// with a capital separated by `_`, any other character replaced by `_`.
///
/// `MESSAGES_UPSERT` becomes `messages_upsert`, `phoneCode` becomes `phone_code`,
/// `messages.upsert` stays. `None` if nothing is left.
pub(crate) fn normalise(name: &str) -> Option<EventName> {
    let mut normalised = String::with_capacity(name.len() + 4);
    let mut is_word = false;
    for character in name.trim().chars() {
        if normalised.len() >= MAX_LENGTH {
            break;
        }
        if is_word && character.is_ascii_uppercase() {
            normalised.push('_');
        }
        is_word = character.is_ascii_lowercase() || character.is_ascii_digit();
        let lower = character.to_ascii_lowercase();
        let is_allowed = lower.is_ascii_alphanumeric() || matches!(lower, '_' | '.' | ':' | '-');
        normalised.push(if is_allowed { lower } else { '_' });
    }
    normalised.truncate(MAX_LENGTH);
    let start = normalised.find(|character: char| character.is_ascii_lowercase())?;
    EventName::parse(normalised.get(start..)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_gateways_become_event_names() {
        for (name, expected) in [
            ("messages.upsert", Some("messages.upsert")),
            ("MESSAGES_UPSERT", Some("messages_upsert")),
            (
                "group-participants.update",
                Some("group-participants.update"),
            ),
            ("phoneCode", Some("phone_code")),
            ("onAnyMessage", Some("on_any_message")),
            ("ReadReceipt", Some("read_receipt")),
            ("QR", Some("qr")),
            ("message any", Some("message_any")),
            ("2fa", Some("fa")),
            ("", None),
            ("42", None),
        ] {
            let name = normalise(name);
            assert_eq!(name.as_ref().map(EventName::as_str), expected);
        }
        assert_eq!(normalise(&"aB".repeat(99)).unwrap().as_str().len(), 64);
    }

    proptest! {
        #[test]
        fn every_text_with_a_letter_has_a_name(before in ".{0,20}", after in ".{0,99}") {
            let name = format!("{before}a{after}");
            prop_assert!(normalise(&name).is_some(), "{name:?}");
        }
    }
}
