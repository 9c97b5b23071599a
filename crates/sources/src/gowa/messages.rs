//! Messages: created, acknowledged, reacted to, revoked, edited.

use wahook_domain::{KnownEvent, json::Node};

use super::{Event, other, texts};
use crate::{
    Key, Part,
    compose::{self, Media},
    jid,
    member::{at, is_true, text},
    moment::moment,
    posted::Subject,
};

/// Members of a message with a file, and their documented types.
const FILES: [(&str, &str); 6] = [
    ("image", "image"),
    ("video", "video"),
    ("video_note", "video"),
    ("audio", "audio"),
    ("document", "document"),
    ("sticker", "sticker"),
];

/// Other members that show the type of a message.
const KINDS: [(&str, &str); 6] = [
    ("location", "location"),
    ("live_location", "location"),
    ("contact", "vcard"),
    ("contacts_array", "multi_vcard"),
    ("list", "list"),
    ("order", "order"),
];

/// What all events about a message have in common.
struct Head {
    id: String,
    chat: String,
    /// Sender of the event.
    from: String,
    from_me: bool,
}

impl Head {
    fn of(payload: &Node<'_>) -> Option<Self> {
        Some(Self {
            id: text(payload, &["id"])?.into(),
            chat: text(payload, &["chat_id"])?.into(),
            from: text(payload, &["from"]).unwrap_or_default().into(),
            from_me: is_true(payload, &["is_from_me"]),
        })
    }

    fn documented_id(&self) -> Node<'static> {
        jid::message_id(self.from_me, &self.chat, &self.id)
    }
}

pub(super) fn created<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let Some(head) = Head::of(&payload) else {
        return other(event, payload);
    };
    let timestamp = moment(&payload, &["timestamp"]);
    let (own, chat) = (event.own_id.clone(), head.chat.clone());
    let (from, to) = if head.from_me {
        (own, chat)
    } else {
        (chat, own)
    };
    let kind = FILES.into_iter().chain(KINDS);
    let kind = kind
        .into_iter()
        .find(|(name, _)| at(&payload, &[name]).is_some());
    let author = Some(head.from.clone()).filter(|_| jid::is_group(&head.chat));
    let message = compose::Message {
        id: head.documented_id(),
        body: body(&payload),
        kind: kind.map_or("chat", |(_, kind)| kind).to_owned(),
        timestamp,
        from,
        to,
        from_me: head.from_me,
        is_forwarded: is_true(&payload, &["forwarded"]),
        author,
        notify_name: text(&payload, &["from_name"]).map(Into::into),
        media: None,
    };
    let message = compose::Message {
        media: media(payload),
        ..message
    };
    let subject = Subject::message(Some(head.chat), head.id.clone(), head.id);
    let (known, data) = (KnownEvent::MessageCreate, message.into_data());
    event.posted.known(known, subject, timestamp, data)
}

/// Returns an acknowledgement of each message. Whoever reads on another device of the session
/// acknowledges the others' messages; everyone else acknowledges those of the session.
pub(super) fn acks<'a>(event: &Event, payload: Node<'a>) -> Vec<Part<'a>> {
    let ids = texts(&payload, "ids");
    let chat = text(&payload, &["chat_id"]).map(String::from);
    let (Some(level), Some(chat), false) = (level(&payload), chat, ids.is_empty()) else {
        return vec![receipt(event, &ids, payload)];
    };
    let from = text(&payload, &["from"]).unwrap_or_default();
    let from_me = jid::user(&from) != jid::user(&event.own_id);
    let ack = |id: String| {
        let key = format!("{id}:{level}:{from}");
        let data = compose::ack(jid::message_id(from_me, &chat, &id), level);
        let subject = Subject::message(Some(chat.clone()), id, key);
        let timestamp = event.posted.sent;
        let known = KnownEvent::MessageAck;
        event.posted.known(known, subject, timestamp, data)
    };
    ids.into_iter().map(ack).collect()
}

/// Returns a receipt without a documented level under its own name.
fn receipt<'a>(event: &Event, ids: &[String], payload: Node<'a>) -> Part<'a> {
    let mut part = other(event, payload);
    if let [id] = ids {
        part.identity.message_id = Some(id.clone());
    }
    part
}

/// Returns a reaction. The gateway does not post who wrote the message: in a direct chat, it is
/// taken to be the other one.
pub(super) fn reaction<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let target = text(&payload, &["reacted_message_id"]).map(String::from);
    let (Some(head), Some(target)) = (Head::of(&payload), target) else {
        return other(event, payload);
    };
    let timestamp = moment(&payload, &["timestamp"]);
    let reaction = text(&payload, &["reaction"]).unwrap_or_default();
    let is_own = !head.from_me && !jid::is_group(&head.chat);
    let reacted = jid::message_id(is_own, &head.chat, &target);
    let id = head.documented_id();
    let data = compose::reaction(id, reacted, &reaction, &head.from, timestamp);
    let subject = Subject::message(Some(head.chat), target, head.id);
    let known = KnownEvent::MessageReaction;
    event.posted.known(known, subject, timestamp, data)
}

/// Returns a deletion for everyone. `revoked_from_me` is as seen by the one who deletes.
pub(super) fn revoked<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let target = text(&payload, &["revoked_message_id"]).map(String::from);
    let (Some(head), Some(target)) = (Head::of(&payload), target) else {
        return other(event, payload);
    };
    let is_own = head.from_me && is_true(&payload, &["revoked_from_me"]);
    let id = jid::message_id(is_own, &head.chat, &target);
    let data = compose::revoked(id, &head.from);
    let subject = Subject::message(Some(head.chat), target, head.id);
    let timestamp = moment(&payload, &["timestamp"]);
    let known = KnownEvent::MessageRevokeEveryone;
    event.posted.known(known, subject, timestamp, data)
}

pub(super) fn edited<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let target = text(&payload, &["original_message_id"]).map(String::from);
    match Head::of(&payload) {
        Some(head) => {
            let target = target.unwrap_or_else(|| head.id.clone());
            let subject = Subject::message(Some(head.chat), target, head.id);
            event.posted.own(subject, payload)
        }
        None => other(event, payload),
    }
}

/// Returns a deletion on the session's own devices under its own name.
pub(super) fn deleted<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let Some(id) = text(&payload, &["deleted_message_id"]).map(String::from) else {
        return other(event, payload);
    };
    let chat = text(&payload, &["chat_id"]).map(Into::into);
    let subject = Subject {
        chat,
        message_id: Some(id.clone()),
        key: Key::Text(id),
    };
    event.posted.own(subject, payload)
}

fn body(payload: &Node<'_>) -> String {
    let paths: [&[&str]; 4] = [
        &["body"],
        &["contact", "vcard"],
        &["location", "name"],
        &["list", "title"],
    ];
    let body = paths.into_iter().find_map(|path| text(payload, path));
    body.unwrap_or_default().into()
}

/// Returns the file of a message: a path on the gateway's disk, or an object with the path or
/// WhatsApp's encrypted URL.
fn media(payload: Node<'_>) -> Option<Media<'_>> {
    let Node::Object(mut members) = payload else {
        return None;
    };
    let mut files = FILES.into_iter();
    let file = files.find_map(|(name, _)| members.remove(name))?;
    Some(match file {
        Node::Object(mut file) => Media {
            url: file.remove("path").or_else(|| file.remove("url")),
            filename: file.remove("filename"),
            ..Media::default()
        },
        path => Media {
            url: Some(path),
            ..Media::default()
        },
    })
}

fn level(payload: &Node<'_>) -> Option<i8> {
    match text(payload, &["receipt_type"])?.as_ref() {
        "server-error" => Some(-1),
        "delivered" => Some(2),
        "read" | "read-self" => Some(3),
        "played" | "played-self" => Some(4),
        _ => None,
    }
}
