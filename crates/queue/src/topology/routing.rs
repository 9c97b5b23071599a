//! Mapping of event names to routing keys and of patterns to binding keys, so
//! that the broker itself selects exactly the endpoints of an event.
//!
//! A topic exchange compares words between dots, and `message_*` is no word of
//! `message_ack`. So each word end in a name becomes a word of its own:
//! `message._.#` matches `message._.ack`, and does not match `messages._.ack`.
//! The dot of a name becomes a comma, which no name has.

use wahook_domain::{EventName, EventPattern, filter::WORD_ENDS};

/// Returns the routing key of events of this name, of at most 127 bytes; AMQP
/// allows 255.
pub(crate) fn routing_key(name: &EventName) -> String {
    words(name.as_str())
}

/// Returns the binding key of a queue for the events of a pattern.
pub(crate) fn binding_key(pattern: &EventPattern) -> String {
    match pattern {
        EventPattern::Every => "#".to_owned(),
        EventPattern::Exactly(name) => routing_key(name),
        // A match ends here or goes on with more words.
        EventPattern::StartingWith(start) => words(start) + ".#",
    }
}

/// Returns the words of a name with dots between them.
fn words(name: &str) -> String {
    let mut key = String::with_capacity(2 * name.len());
    let mut is_after_end = false;
    for character in name.chars() {
        let is_end = WORD_ENDS.contains(&character);
        if (is_end || is_after_end) && !key.is_empty() {
            key.push('.');
        }
        key.push(if character == '.' { ',' } else { character });
        is_after_end = is_end;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reference implementation of a topic exchange.
    fn matches(key: &[&str], words: &[&str]) -> bool {
        match (key, words) {
            ([], []) => true,
            (["#", rest @ ..], _) => (0..=words.len()).any(|n| matches(rest, &words[n..])),
            (["*", rest @ ..], [_, more @ ..]) => matches(rest, more),
            ([word, rest @ ..], [first, more @ ..]) => word == first && matches(rest, more),
            _ => false,
        }
    }

    #[test]
    fn names_and_patterns_become_keys() {
        for (name, key) in [
            ("ready", "ready"),
            ("message_create", "message._.create"),
            ("a.b:c-d_9", "a.,.b.:.c.-.d._.9"),
            ("a__b_", "a._._.b._"),
        ] {
            assert_eq!(routing_key(&EventName::parse(name).unwrap()), key);
        }
        for (pattern, key) in [("*", "#"), ("message_*", "message._.#"), ("a.b", "a.,.b")] {
            assert_eq!(binding_key(&pattern.parse().unwrap()), key);
        }
        let longest = EventName::parse(&"a_".repeat(32)).unwrap();
        assert_eq!(routing_key(&longest).len(), 127);
    }

    proptest! {
        /// Names of few letters, so that many are prefixes of others.
        #[test]
        fn a_binding_key_matches_exactly_the_names_of_its_pattern(
            name in "a[ab_.:-]{0,6}",
            start in "a[ab_.:-]{0,4}",
            star in any::<bool>(),
        ) {
            let text = if star { format!("{start}*") } else { start };
            let Ok(pattern) = text.parse::<EventPattern>() else { return Ok(()) };
            let name = EventName::parse(&name).unwrap();
            let (bound, published) = (binding_key(&pattern), routing_key(&name));
            let bound: Vec<_> = bound.split('.').collect();
            let published: Vec<_> = published.split('.').collect();
            prop_assert_eq!(matches(&bound, &published), pattern.takes(&name), "{} {}", pattern, name);
        }
    }
}
