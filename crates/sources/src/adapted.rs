//! Events that a request contains.

use wahook_domain::{EventName, SourceName, UnixMillis, json::Node};

use crate::{
    Kind,
    member::{object, owned},
};

/// Request as events, in both ways of delivery.
#[derive(Debug, PartialEq)]
pub struct Adapted<'a> {
    /// Identity of the whole request, which is one event if it is delivered as received.
    pub whole: Identity,
    /// Events in the documented form, at least one.
    pub parts: Vec<Part<'a>>,
}

/// Event in the documented form.
#[derive(Debug, PartialEq)]
pub struct Part<'a> {
    /// Its name is one of the documented events, or the gateway's own, normalised, if it has
    /// no documented counterpart.
    pub identity: Identity,
    /// Gateway's time of the event.
    pub timestamp: Option<UnixMillis>,
    /// `data`: an object, with the documented members or the gateway's own payload.
    pub data: Node<'a>,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub name: EventName,
    pub session: Option<String>,
    pub chat: Option<String>,
    /// Id of the message that the event is about.
    pub message_id: Option<String>,
    pub key: Key,
}

/// What distinguishes an event from others of the same source, session and name, to recognise
/// an event that a gateway posts twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Text that is the same whenever the event is posted: a message's id, with the level of
    /// an acknowledgement.
    Text(String),
    /// Whole body, which contains a time or a number that no other event has.
    Content,
    /// Nothing: two equal events cannot be distinguished from one that is posted twice, and
    /// both are delivered.
    None,
}

impl Identity {
    /// Returns an identity that has only a name.
    #[must_use]
    pub fn named(name: EventName) -> Self {
        Self {
            name,
            session: None,
            chat: None,
            message_id: None,
            key: Key::None,
        }
    }
}

impl<'a> Adapted<'a> {
    /// Returns a request with one event, which is named alike in both ways of delivery.
    #[must_use]
    pub fn single(identity: Identity, timestamp: Option<UnixMillis>, data: Node<'a>) -> Self {
        Self {
            whole: identity.clone(),
            parts: vec![Part {
                identity,
                timestamp,
                data,
            }],
        }
    }
}

/// Returns the member `source` of a documented event.
#[must_use]
pub fn source_member(kind: Kind, name: &SourceName, about: &Identity) -> Node<'static> {
    let optional = |text: &Option<String>| text.as_deref().map_or(Node::Null, owned);
    object([
        ("kind", owned(kind.as_str())),
        ("name", owned(name.as_str())),
        ("session", optional(&about.session)),
        ("id", optional(&about.message_id)),
    ])
}
