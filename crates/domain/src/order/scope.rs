//! Order of an endpoint: the events that it receives one after another.

use crate::delivery::QueuedEvent;

use super::key::OrderKey;

/// Events that are delivered one after another, in the order in which they were accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Events of one chat.
    Chat,
    /// Events of one session of a gateway.
    Session,
}

impl Order {
    /// Returns the key of an event. Events without one share the empty key.
    #[must_use]
    pub fn key_of(self, event: &QueuedEvent) -> OrderKey {
        let key = event.key.clone();
        let key = match self {
            Self::Chat => key,
            Self::Session => key.filter(OrderKey::is_sent).or_else(|| session(event)),
        };
        key.unwrap_or_default()
    }
}

fn session(event: &QueuedEvent) -> Option<OrderKey> {
    let origin = event.origin.as_deref()?;
    let session = origin.session.as_deref()?;
    OrderKey::parse(&format!("s:{}/{session}", origin.source)).ok()
}
