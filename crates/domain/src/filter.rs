//! Event patterns: the events that an endpoint subscribes to.

use std::{fmt, str::FromStr, sync::Arc};

use crate::event::EventName;

/// Separators between the words of an event's name. A pattern ends at one of them,
/// because the broker compares whole words only.
pub const WORD_ENDS: [char; 4] = ['_', '.', ':', '-'];

/// Pattern for event names: one name, a prefix, or all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventPattern {
    /// `*`: every event.
    Every,
    Exactly(EventName),
    /// `message_*`: every event whose name has this prefix. Stored without the
    /// star; ends with one of [`WORD_ENDS`].
    StartingWith(Arc<str>),
}

/// Reason why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventPattern {
    /// Not an event's name, even without the star.
    #[error(
        "must be an event's name ([a-z][a-z0-9_.:-]{{0,63}}), a pattern such as message_*, or *"
    )]
    NoName,
    /// The star is within a word.
    #[error("may have a * only after one of _ . : - (such as message_*), or alone")]
    WithinWord,
}

impl EventPattern {
    /// Returns true if the pattern matches the name.
    #[must_use]
    pub fn takes(&self, name: &EventName) -> bool {
        match self {
            Self::Every => true,
            Self::Exactly(wanted) => wanted == name,
            Self::StartingWith(start) => name.as_str().starts_with(&**start),
        }
    }
}

impl FromStr for EventPattern {
    type Err = InvalidEventPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Self::Every);
        }
        let Some(start) = text.strip_suffix('*') else {
            return EventName::parse(text)
                .map(Self::Exactly)
                .map_err(|_| InvalidEventPattern::NoName);
        };
        EventName::parse(start).map_err(|_| InvalidEventPattern::NoName)?;
        if start.ends_with(WORD_ENDS) {
            Ok(Self::StartingWith(start.into()))
        } else {
            Err(InvalidEventPattern::WithinWord)
        }
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Every => f.write_str("*"),
            Self::Exactly(name) => name.fmt(f),
            Self::StartingWith(start) => write!(f, "{start}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> EventPattern {
        text.parse().unwrap()
    }

    #[test]
    fn pattern_matches_its_name_its_prefix_or_all() {
        for (text, taken, not_taken) in [
            (
                "ready",
                ["ready"].as_slice(),
                ["ready_", "read", "a.ready"].as_slice(),
            ),
            (
                "message_*",
                &["message_", "message_ack", "message_a.b:c"],
                &["message", "messages_x", "a_message_x"],
            ),
            ("a.b.*", &["a.b.c", "a.b.c.d"], &["a.b", "a_b_c"]),
            ("*", &["ready", "a.b:c-d"], &[]),
        ] {
            let pattern = pattern(text);
            assert_eq!(pattern.to_string(), text);
            let takes = |name: &&str| pattern.takes(&EventName::parse(name).unwrap());
            assert!(taken.iter().all(takes), "{text} takes {taken:?}");
            assert!(
                !not_taken.iter().any(takes),
                "{text} does not take {not_taken:?}"
            );
        }
    }

    #[test]
    fn invalid_pattern_is_rejected_with_a_reason() {
        for text in ["", "Ready", "a b", "#", "**", "_*", "*_update", "a_*_b"] {
            let rejected = text.parse::<EventPattern>();
            assert_eq!(rejected, Err(InvalidEventPattern::NoName), "{text:?}");
        }
        for text in ["mess*", "message_a*"] {
            let rejected = text.parse::<EventPattern>();
            assert_eq!(rejected, Err(InvalidEventPattern::WithinWord), "{text:?}");
        }
    }
}
