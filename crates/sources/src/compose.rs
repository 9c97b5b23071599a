//! Documented `data` of events. Ids of chats and contacts are given as the gateway spells them.

use wahook_domain::{
    UnixMillis,
    json::{Node, Object, Text},
};

use crate::{
    jid,
    member::{object, owned},
    moment::seconds,
};

/// Message that was sent or received.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub id: Node<'static>,
    pub body: String,
    pub kind: String,
    pub timestamp: Option<UnixMillis>,
    pub from: String,
    pub to: String,
    pub from_me: bool,
    pub is_forwarded: bool,
    /// Sender within a group.
    pub author: Option<String>,
    /// Name that the sender chose.
    pub notify_name: Option<String>,
    pub media: Option<Media<'a>>,
}

/// File of a message.
#[derive(Debug, Default)]
pub(crate) struct Media<'a> {
    pub mimetype: Option<Node<'a>>,
    pub filename: Option<Node<'a>>,
    /// Content in base64.
    pub data: Option<Node<'a>>,
    pub url: Option<Node<'a>>,
}

/// Call that comes in or ends.
#[derive(Debug)]
pub(crate) struct Call {
    pub id: String,
    pub from: String,
    pub timestamp: Option<UnixMillis>,
    pub is_video: bool,
    pub is_group: bool,
    pub status: Option<String>,
}

impl<'a> Message<'a> {
    pub(crate) fn into_data(self) -> Node<'a> {
        let has_media = self.media.is_some();
        optional([
            ("id", Some(self.id)),
            ("body", Some(owned(self.body))),
            ("type", Some(owned(self.kind))),
            ("timestamp", Some(seconds(self.timestamp))),
            ("from", Some(contact_id(&self.from))),
            ("to", Some(contact_id(&self.to))),
            ("fromMe", Some(Node::Bool(self.from_me))),
            ("hasMedia", Some(Node::Bool(has_media))),
            ("isForwarded", Some(Node::Bool(self.is_forwarded))),
            ("author", self.author.map(|jid| contact_id(&jid))),
            ("notifyName", self.notify_name.map(owned)),
            ("media", self.media.and_then(Media::into_data)),
        ])
    }
}

impl<'a> Media<'a> {
    fn into_data(self) -> Option<Node<'a>> {
        let data = optional([
            ("mimetype", self.mimetype),
            ("filename", self.filename),
            ("data", self.data),
            ("url", self.url),
        ]);
        match &data {
            Node::Object(members) if members.is_empty() => None,
            _ => Some(data),
        }
    }
}

impl Call {
    pub(crate) fn into_data(self) -> Node<'static> {
        optional([
            ("id", Some(owned(self.id))),
            ("from", Some(contact_id(&self.from))),
            ("timestamp", Some(seconds(self.timestamp))),
            ("isVideo", Some(Node::Bool(self.is_video))),
            ("isGroup", Some(Node::Bool(self.is_group))),
            ("status", self.status.map(owned)),
        ])
    }
}

/// Returns the data of an acknowledgement, with a documented level.
pub(crate) fn ack(id: Node<'static>, level: i8) -> Node<'static> {
    object([("id", id), ("ack", Node::Number(level.into()))])
}

pub(crate) fn revoked(id: Node<'static>, by: &str) -> Node<'static> {
    object([("id", id), ("revokedBy", contact_id(by))])
}

/// Returns the data of a reaction; its text is empty if it was removed.
pub(crate) fn reaction(
    id: Node<'static>,
    message: Node<'static>,
    text: &str,
    sender: &str,
    timestamp: Option<UnixMillis>,
) -> Node<'static> {
    object([
        ("id", id),
        ("msgId", message),
        ("reaction", owned(text)),
        ("senderId", contact_id(sender)),
        ("timestamp", seconds(timestamp)),
    ])
}

/// Returns the data of members who joined or left a group.
pub(crate) fn members(chat: &str, participants: &[String], author: &str) -> Node<'static> {
    let participants = participants.iter().map(|jid| contact_id(jid)).collect();
    object([
        ("chatId", contact_id(chat)),
        ("participants", Node::Array(participants)),
        ("author", contact_id(author)),
    ])
}

pub(crate) fn group(chat: &str, subject: &str, description: &str, author: &str) -> Node<'static> {
    object([
        ("chatId", contact_id(chat)),
        ("subject", owned(subject)),
        ("description", owned(description)),
        ("author", contact_id(author)),
    ])
}

pub(crate) fn contact(id: &str, name: &str) -> Node<'static> {
    object([
        ("id", wid(id)),
        ("name", owned(name)),
        ("number", owned(jid::user(id))),
    ])
}

/// Returns the data of a session that can send and receive; the texts are empty if the gateway
/// does not post them.
pub(crate) fn ready(name: &str, own_id: &str) -> Node<'static> {
    let info = object([("pushname", owned(name)), ("wid", wid(own_id))]);
    object([("info", info)])
}

pub(crate) fn disconnected(reason: &str) -> Node<'static> {
    object([("reason", owned(reason))])
}

pub(crate) fn auth_failure(message: &str) -> Node<'static> {
    object([("message", owned(message))])
}

fn wid(id: &str) -> Node<'static> {
    object([
        ("user", owned(jid::user(id))),
        ("_serialized", contact_id(id)),
    ])
}

fn contact_id(id: &str) -> Node<'static> {
    owned(jid::documented(id))
}

/// Creates an object of the members that have a value.
fn optional<'a, const N: usize>(members: [(&'static str, Option<Node<'a>>); N]) -> Node<'a> {
    let members = members.into_iter();
    let members: Object<'a> = members
        .filter_map(|(name, value)| Some((Text::new(name), value?)))
        .collect();
    Node::Object(members)
}
