//! Messages, their acknowledgements, deletions and reactions.

use wahook_domain::{KnownEvent, UnixMillis, json::Node};

use super::{event::Event, subjects};
use crate::{
    Part,
    compose::{self, Media},
    content::Content,
    jid,
    member::{at, into_member, is_true, number, text},
    moment::moment,
    posted::Subject,
};

/// Messages of the protocol: changes of another message.
const PROTOCOL: [&str; 3] = ["protocolMessage", "editedMessage", "pollUpdateMessage"];

/// Key of a message: `{remoteJid, fromMe, id, participant}`.
struct MessageKey {
    chat: String,
    from_me: bool,
    id: String,
    participant: Option<String>,
}

impl MessageKey {
    /// Reads the key; `id` is the name of its member with the message's id.
    fn of(node: &Node<'_>, id: &str) -> Option<Self> {
        Some(Self {
            chat: text(node, &["remoteJid"])?.into(),
            from_me: is_true(node, &["fromMe"]),
            id: text(node, &[id])?.into(),
            participant: text(node, &["participant"]).map(String::from),
        })
    }

    /// Reads the key of an acknowledgement or of a deletion. Evolution 2 posts the members
    /// with the message's id as `keyId`; older versions post the key; Baileys nests it.
    fn of_update(node: &Node<'_>) -> Option<Self> {
        let nested = at(node, &["key"]).and_then(|key| Self::of(key, "id"));
        let mut key = nested
            .or_else(|| Self::of(node, "keyId"))
            .or_else(|| Self::of(node, "id"))?;
        // Cloud API instances post acknowledgements of the own messages only, as others'.
        key.from_me |= key.id.starts_with("wamid.");
        Some(key)
    }

    fn data(&self) -> Node<'static> {
        jid::message_id(self.from_me, &self.chat, &self.id)
    }

    /// Returns the JID of the sender.
    fn sender<'k>(&'k self, event: &'k Event) -> &'k str {
        match &self.participant {
            _ if self.from_me => &event.own_id,
            Some(participant) => participant,
            None => &self.chat,
        }
    }

    fn subject(&self) -> Subject {
        Subject::message(Some(self.chat.clone()), self.id.clone(), self.id.clone())
    }
}

/// Returns a message or a reaction.
pub(super) fn message<'a>(event: &Event, node: Node<'a>) -> Part<'a> {
    let Some(key) = at(&node, &["key"]).and_then(|key| MessageKey::of(key, "id")) else {
        return subjects::own(event, node);
    };
    let timestamp = moment(&node, &["messageTimestamp"]);
    if let Some(found) = at(&node, &["message", "reactionMessage"]) {
        let data = reaction(event, &key, found, timestamp);
        let reaction = KnownEvent::MessageReaction;
        return event.posted.known(reaction, key.subject(), timestamp, data);
    }
    if PROTOCOL
        .iter()
        .any(|name| at(&node, &["message", name]).is_some())
    {
        return event.posted.own(key.subject(), node);
    }
    let content = at(&node, &["message"]).and_then(Content::of);
    let (from, to) = match key.from_me {
        true => (&event.own_id, &key.chat),
        false => (&key.chat, &event.own_id),
    };
    let is_forwarded = is_true(&node, &["contextInfo", "isForwarded"])
        || content.is_some_and(Content::is_forwarded);
    let message = compose::Message {
        id: key.data(),
        body: content.map_or_else(String::new, Content::body),
        kind: kind(content, &node),
        timestamp,
        from: from.clone(),
        to: to.clone(),
        from_me: key.from_me,
        is_forwarded,
        author: jid::is_group(&key.chat).then(|| key.sender(event).to_owned()),
        notify_name: text(&node, &["pushName"]).map(String::from),
        media: media(content).map(|media| with_file(media, node)),
    };
    let create = KnownEvent::MessageCreate;
    let data = message.into_data();
    event.posted.known(create, key.subject(), timestamp, data)
}

/// Returns an acknowledgement; a status of `DELETED` is a deletion.
pub(super) fn status<'a>(event: &Event, node: Node<'a>) -> Part<'a> {
    let Some(key) = MessageKey::of_update(&node) else {
        return subjects::own(event, node);
    };
    if text(&node, &["status"]).is_some_and(|status| status == "DELETED") {
        return revoked(event, &key);
    }
    let Some(level) = level(&node) else {
        return subjects::own(event, node);
    };
    let subject = Subject::message(
        Some(key.chat.clone()),
        key.id.clone(),
        format!("{}:{level}", key.id),
    );
    let timestamp = moment(&node, &["datetime"]);
    let data = compose::ack(key.data(), level);
    let ack = KnownEvent::MessageAck;
    event.posted.known(ack, subject, timestamp, data)
}

pub(super) fn deletion<'a>(event: &Event, node: Node<'a>) -> Part<'a> {
    match MessageKey::of_update(&node) {
        Some(key) => revoked(event, &key),
        None => subjects::own(event, node),
    }
}

/// Returns an edit of a message, `{key, type, editedMessage}`, which has no documented
/// counterpart. Evolution posts deletions of others alike.
pub(super) fn edit<'a>(event: &Event, node: Node<'a>) -> Part<'a> {
    let key = at(&node, &["key"]).and_then(|key| MessageKey::of(key, "id"));
    let is_revoked = text(&node, &["type"]).is_some_and(|kind| kind == "REVOKE")
        || number(&node, &["type"]) == Some(0.0);
    match key {
        Some(key) if is_revoked => revoked(event, &key),
        Some(key) => {
            let mut subject = key.subject();
            subject.key = event.posted.key.clone();
            event.posted.own(subject, node)
        }
        None => subjects::own(event, node),
    }
}

fn revoked(event: &Event, key: &MessageKey) -> Part<'static> {
    let data = compose::revoked(key.data(), key.sender(event));
    let revoke = KnownEvent::MessageRevokeEveryone;
    event.posted.known(revoke, key.subject(), None, data)
}

fn reaction(
    event: &Event,
    key: &MessageKey,
    reaction: &Node<'_>,
    timestamp: Option<UnixMillis>,
) -> Node<'static> {
    let target = text(reaction, &["key", "id"]).unwrap_or_default();
    let is_own = is_true(reaction, &["key", "fromMe"]);
    let emoji = text(reaction, &["text"]).unwrap_or_default();
    let target = jid::message_id(is_own, &key.chat, &target);
    compose::reaction(key.data(), target, &emoji, key.sender(event), timestamp)
}

/// Returns the documented type of a message, or Evolution's if there is none.
fn kind(content: Option<Content<'_, '_>>, node: &Node<'_>) -> String {
    match content {
        Some(content) => content.kind().to_owned(),
        None => text(node, &["messageType"]).map_or("unknown".into(), String::from),
    }
}

/// Returns the description of a message's file.
fn media<'a>(content: Option<Content<'_, 'a>>) -> Option<Media<'a>> {
    let content = content.filter(|content| content.has_media())?;
    // Cloud API instances name the members as Meta does.
    let member = |name, of_meta| content.member(name).or_else(|| content.member(of_meta));
    Some(Media {
        mimetype: member("mimetype", "mime_type").cloned(),
        filename: member("fileName", "filename").cloned(),
        ..Media::default()
    })
}

/// Adds the content of the file and its URL, if Evolution posts them.
fn with_file<'a>(media: Media<'a>, node: Node<'a>) -> Media<'a> {
    let Some(Node::Object(mut content)) = into_member(node, &["message"]) else {
        return media;
    };
    Media {
        data: content.remove("base64"),
        url: content.remove("mediaUrl"),
        ..media
    }
}

/// Returns the documented level of an acknowledgement, from its name or, as Baileys writes it,
/// from its number, which is greater by one.
fn level(node: &Node<'_>) -> Option<i8> {
    let status = text(node, &["status"]).or_else(|| text(node, &["update", "status"]));
    if let Some(status) = status {
        return match status.to_ascii_uppercase().as_str() {
            "ERROR" | "FAILED" => Some(-1),
            "PENDING" => Some(0),
            "SERVER_ACK" | "SENT" => Some(1),
            "DELIVERY_ACK" | "DELIVERED" => Some(2),
            "READ" => Some(3),
            "PLAYED" => Some(4),
            _ => None,
        };
    }
    let number = number(node, &["status"]).or_else(|| number(node, &["update", "status"]))?;
    (0..=5i8)
        .find(|known| f64::from(*known) == number)
        .map(|known| known - 1)
}
