//! State of messages in parking slots: events that were moved there, and markers.

use wahook_domain::EventId;

const MARKER: &str = "marker";
const UNTRIED: &str = "behind:";
const REPEAT: &str = "again:";

/// Part of a message's metadata that only messages of lanes and parking slots have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parked {
    /// No event: the message shows its owner that a queue was read up to it, or that a
    /// lane has work.
    Marker,
    /// Event of a parking slot.
    Event {
        /// Event at which its key was blocked. In the lane, it precedes all parked ones.
        behind: EventId,
        /// True if the event may have been attempted, or may be in the slot twice.
        may_repeat: bool,
    },
}

impl Parked {
    /// Returns the form in a header or a column.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Marker => MARKER.to_owned(),
            Self::Event { behind, may_repeat } => {
                let state = if *may_repeat { REPEAT } else { UNTRIED };
                format!("{state}{behind}")
            }
        }
    }

    /// Reads the form of [`Self::to_text`]; `None` if it is another.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let event = |behind, may_repeat| {
            let behind = EventId::parse(behind).ok()?;
            Some(Self::Event { behind, may_repeat })
        };
        if text == MARKER {
            Some(Self::Marker)
        } else if let Some(behind) = text.strip_prefix(UNTRIED) {
            event(behind, false)
        } else {
            event(text.strip_prefix(REPEAT)?, true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_back_and_any_other_text_is_none() {
        let behind = EventId::parse("marker").unwrap();
        let event = |may_repeat| Parked::Event {
            behind: behind.clone(),
            may_repeat,
        };
        for parked in [Parked::Marker, event(true), event(false)] {
            assert_eq!(Parked::parse(&parked.to_text()), Some(parked));
        }
        for other in ["", "behind:", "other", "again"] {
            assert_eq!(Parked::parse(other), None, "{other}");
        }
    }
}
