//! Request of a gateway whose events are composed: what they have in common.

use wahook_domain::{
    EventName, KnownEvent, UnixMillis,
    json::{Node, Object},
};

use crate::{Adapted, Identity, Key, Part, member::as_object};

/// Request of a gateway: what its events have in common.
#[derive(Debug)]
pub(crate) struct Posted {
    /// Gateway's own name of the event.
    pub name: EventName,
    pub session: Option<String>,
    /// Time at which the gateway posted it.
    pub sent: Option<UnixMillis>,
    /// Key of an event without an id.
    pub key: Key,
}

/// What an event is about: its chat, its message and its key.
#[derive(Debug)]
pub(crate) struct Subject {
    pub chat: Option<String>,
    pub message_id: Option<String>,
    pub key: Key,
}

impl Subject {
    /// Returns the subject of an event about a message.
    pub(crate) fn message(chat: Option<String>, id: String, key: String) -> Self {
        Self {
            chat,
            message_id: Some(id),
            key: Key::Text(key),
        }
    }

    /// Returns the subject of an event without a message.
    pub(crate) fn chat(chat: Option<String>, key: Key) -> Self {
        Self {
            chat,
            message_id: None,
            key,
        }
    }
}

impl Posted {
    /// Returns an event with a documented counterpart.
    pub(crate) fn known<'a>(
        &self,
        event: KnownEvent,
        subject: Subject,
        timestamp: Option<UnixMillis>,
        data: Node<'a>,
    ) -> Part<'a> {
        self.part(event.into(), subject, timestamp, data)
    }

    /// Returns an event without a documented counterpart: its own name and payload.
    pub(crate) fn own<'a>(&self, subject: Subject, payload: Node<'a>) -> Part<'a> {
        let data = match payload {
            Node::Null => Node::Object(Object::default()),
            other => as_object(other),
        };
        self.part(self.name.clone(), subject, self.sent, data)
    }

    /// Returns the request as received: with the identity of its event, or, if it has several,
    /// with what they have in common.
    pub(crate) fn adapted(self, parts: Vec<Part<'_>>) -> Adapted<'_> {
        let whole = match parts.as_slice() {
            [part] => Identity {
                name: self.name,
                ..part.identity.clone()
            },
            several => Identity {
                name: self.name,
                session: self.session,
                chat: common_chat(several),
                message_id: None,
                key: self.key,
            },
        };
        Adapted { whole, parts }
    }

    fn part<'a>(
        &self,
        name: EventName,
        subject: Subject,
        timestamp: Option<UnixMillis>,
        data: Node<'a>,
    ) -> Part<'a> {
        let identity = Identity {
            name,
            session: self.session.clone(),
            chat: subject.chat,
            message_id: subject.message_id,
            key: subject.key,
        };
        Part {
            identity,
            timestamp,
            data,
        }
    }
}

fn common_chat(parts: &[Part<'_>]) -> Option<String> {
    let (first, others) = parts.split_first()?;
    let chat = first.identity.chat.as_ref()?;
    let is_common = others
        .iter()
        .all(|part| part.identity.chat.as_ref() == Some(chat));
    is_common.then(|| chat.clone())
}
