//! Which events does an endpoint want?

use std::{fmt, str::FromStr, sync::Arc};

use crate::event::EventName;

/// What separates the words of an event's name. A pattern ends at one of them:
/// only whole words can be told apart by the broker.
pub const WORD_ENDS: [char; 4] = ['_', '.', ':', '-'];

/// The events of one name, of one beginning, or all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventPattern {
    /// `*`: every event.
    Every,
    /// An event's name.
    Exactly(EventName),
    /// `message_*`: every event whose name starts so. The text here is without
    /// the star, and ends with one of [`WORD_ENDS`].
    StartingWith(Arc<str>),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEventPattern {
    /// Not even without its star.
    #[error(
        "must be an event's name ([a-z][a-z0-9_.:-]{{0,63}}), a pattern such as message_*, or *"
    )]
    NoName,
    /// The star stands within a word.
    #[error("may have a * only after one of _ . : - (such as message_*), or alone")]
    WithinWord,
}

impl EventPattern {
    /// Whether it takes an event of this name.
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
    fn a_pattern_takes_its_name_its_beginning_or_all() {
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
    fn what_is_no_pattern_is_refused_with_what_to_write() {
        for text in ["", "Ready", "a b", "#", "**", "_*", "*_update", "a_*_b"] {
            let refused = text.parse::<EventPattern>();
            assert_eq!(refused, Err(InvalidEventPattern::NoName), "{text:?}");
        }
        for text in ["mess*", "message_a*"] {
            let refused = text.parse::<EventPattern>();
            assert_eq!(refused, Err(InvalidEventPattern::WithinWord), "{text:?}");
        }
    }
}
