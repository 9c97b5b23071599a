//! Event names.

use std::{fmt, sync::Arc};

use crate::{
    checked_text::checked_text,
    json::{self, Node},
};

const MAX_LENGTH: usize = 64;

/// Event name, as the gateway sends it. Every name of the right form is accepted,
/// since gateways add events; [`EventName::known`] returns the documented event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventName(Arc<str>);

checked_text!(EventName, InvalidEventName, "[a-z][a-z0-9_.:-]{0,63}");

impl EventName {
    /// Returns the documented event of this name.
    #[must_use]
    pub fn known(&self) -> Option<KnownEvent> {
        KnownEvent::ALL
            .into_iter()
            .find(|known| known.as_str() == self.as_str())
    }

    /// Returns the valid name of an event in JSON, for messages about a refused event.
    #[must_use]
    pub fn in_json(event: &[u8]) -> Option<Self> {
        let Ok(Node::Object(members)) = json::parse(event) else {
            return None;
        };
        match members.get("event") {
            Some(Node::Text(name)) => Self::parse(&name.to_str().0).ok(),
            _ => None,
        }
    }

    fn check(text: &[u8]) -> bool {
        let allowed = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'-');
        text.len() <= MAX_LENGTH
            && text.first().is_some_and(u8::is_ascii_lowercase)
            && text.iter().all(allowed)
    }
}

impl From<KnownEvent> for EventName {
    fn from(known: KnownEvent) -> Self {
        Self(Arc::from(known.as_str()))
    }
}

/// Events whose data is documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KnownEvent {
    /// A message was sent or received.
    MessageCreate,
    /// A message was sent, arrived, was read or was played.
    MessageAck,
    /// A message was deleted for everyone.
    MessageRevokeEveryone,
    /// Someone reacted to a message.
    MessageReaction,
    /// Members joined a group.
    GroupJoin,
    /// Members left a group.
    GroupLeave,
    /// A group's subject, description or picture changed.
    GroupUpdate,
    /// The session was authenticated.
    Authenticated,
    /// The session could not be authenticated.
    AuthFailure,
    /// The gateway can send and receive.
    Ready,
    /// The gateway lost its session.
    Disconnected,
    /// Someone calls.
    Call,
    /// A contact changed its number.
    ContactChanged,
}

impl KnownEvent {
    pub const ALL: [Self; 13] = [
        Self::MessageCreate,
        Self::MessageAck,
        Self::MessageRevokeEveryone,
        Self::MessageReaction,
        Self::GroupJoin,
        Self::GroupLeave,
        Self::GroupUpdate,
        Self::Authenticated,
        Self::AuthFailure,
        Self::Ready,
        Self::Disconnected,
        Self::Call,
        Self::ContactChanged,
    ];

    /// Returns the name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageCreate => "message_create",
            Self::MessageAck => "message_ack",
            Self::MessageRevokeEveryone => "message_revoke_everyone",
            Self::MessageReaction => "message_reaction",
            Self::GroupJoin => "group_join",
            Self::GroupLeave => "group_leave",
            Self::GroupUpdate => "group_update",
            Self::Authenticated => "authenticated",
            Self::AuthFailure => "auth_failure",
            Self::Ready => "ready",
            Self::Disconnected => "disconnected",
            Self::Call => "call",
            Self::ContactChanged => "contact_changed",
        }
    }
}

impl fmt::Display for KnownEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn documented_event_is_found_by_its_name() {
        for known in KnownEvent::ALL {
            let name = EventName::parse(known.as_str()).unwrap();
            assert_eq!(name.known(), Some(known));
            assert_eq!(name, EventName::from(known));
        }
        let names: HashSet<_> = KnownEvent::ALL.map(KnownEvent::as_str).into();
        assert_eq!(names.len(), 13);
    }

    #[test]
    fn undocumented_names_of_the_right_form_are_accepted() {
        for good in ["qr", "message", "a.b:c-d_9", &"x".repeat(64)] {
            assert_eq!(EventName::parse(good).unwrap().known(), None);
        }
        for bad in [
            "",
            "Message",
            "1a",
            "_a",
            "a b",
            "a*",
            "a#",
            "é",
            &"x".repeat(65),
        ] {
            assert_eq!(EventName::parse(bad), Err(InvalidEventName), "{bad:?}");
        }
    }
}
