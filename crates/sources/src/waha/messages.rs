//! Messages: created, acknowledged, reacted to, revoked. Their ids are serialized:
//! `false_CHAT_ID`, with `_PARTICIPANT` in groups.

use wahook_domain::{KnownEvent, json::Node};

use super::{
    Event,
    content::{content, kind, media},
};
use crate::{
    Key, Part, compose,
    content::Content,
    jid::{self, Serialized},
    member::{get, is_true, number, text},
    moment::moment,
    posted::Subject,
};

/// Place of a message: what its id tells, or the members beside it.
struct Place {
    from_me: bool,
    chat: String,
    /// Id as WAHA spells it.
    id: String,
    /// Id without chat and participant.
    bare_id: String,
}

impl Place {
    fn of(message: &Node<'_>) -> Option<Self> {
        let id: String = text(message, &["id"])?.into();
        let place = match Serialized::parse(&id) {
            Some(parts) => Self {
                from_me: parts.from_me,
                chat: parts.chat.to_owned(),
                bare_id: parts.id.to_owned(),
                id,
            },
            None => Self {
                from_me: is_true(message, &["fromMe"]),
                chat: text(message, &["from"])?.into(),
                bare_id: id.clone(),
                id,
            },
        };
        Some(place)
    }

    fn documented_id(&self) -> Node<'static> {
        jid::message_id(self.from_me, &self.chat, &self.bare_id)
    }
}

pub(super) fn created<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let Some(place) = Place::of(&payload) else {
        return other(event, payload);
    };
    let timestamp = moment(&payload, &["timestamp"]);
    let content = content(&payload);
    let (own, chat) = (event.own_id.clone(), place.chat.clone());
    let (from, to) = if place.from_me {
        (own, chat)
    } else {
        (chat, own)
    };
    let author = text(&payload, &["participant"]).filter(|_| jid::is_group(&place.chat));
    let names: [&[&str]; 3] = [
        &["_data", "notifyName"],
        &["_data", "pushName"],
        &["_data", "Info", "PushName"],
    ];
    let mut names = names.into_iter();
    let message = compose::Message {
        id: place.documented_id(),
        body: text(&payload, &["body"]).unwrap_or_default().into(),
        kind: kind(&payload, content),
        timestamp,
        from,
        to,
        from_me: place.from_me,
        is_forwarded: is_true(&payload, &["_data", "isForwarded"])
            || content.is_some_and(Content::is_forwarded),
        author: author.map(Into::into),
        notify_name: names.find_map(|path| text(&payload, path)).map(Into::into),
        media: None,
    };
    let message = compose::Message {
        media: media(payload),
        ..message
    };
    let subject = Subject::message(Some(place.chat), place.id.clone(), place.id);
    let (known, data) = (KnownEvent::MessageCreate, message.into_data());
    event.posted.known(known, subject, timestamp, data)
}

/// Returns an acknowledgement. In groups each participant acknowledges a message.
pub(super) fn ack<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let (Some(place), Some(level)) = (Place::of(&payload), level(&payload)) else {
        return other(event, payload);
    };
    let key = match text(&payload, &["participant"]) {
        Some(participant) => format!("{}:{level}:{participant}", place.id),
        None => format!("{}:{level}", place.id),
    };
    let data = compose::ack(place.documented_id(), level);
    let subject = Subject::message(Some(place.chat), place.id, key);
    let timestamp = event.posted.sent;
    let known = KnownEvent::MessageAck;
    event.posted.known(known, subject, timestamp, data)
}

pub(super) fn reaction<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let target: Option<String> = text(&payload, &["reaction", "messageId"]).map(Into::into);
    let (Some(place), Some(target)) = (Place::of(&payload), target) else {
        return other(event, payload);
    };
    let reacted = match Serialized::parse(&target) {
        Some(parts) => jid::message_id(parts.from_me, parts.chat, parts.id),
        None => jid::message_id(false, &place.chat, &target),
    };
    let reaction = text(&payload, &["reaction", "text"]).unwrap_or_default();
    let sender = sender(event, &payload, &place);
    let timestamp = moment(&payload, &["timestamp"]);
    let id = place.documented_id();
    let data = compose::reaction(id, reacted, &reaction, &sender, timestamp);
    let key = format!("{}:{reaction}", place.id);
    let subject = Subject::message(Some(place.chat), target, key);
    let known = KnownEvent::MessageReaction;
    event.posted.known(known, subject, timestamp, data)
}

/// Returns a message that was deleted for everyone: `after` is the message that deletes,
/// `before` the deleted one, if the engine still has it.
pub(super) fn revoked<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let place = |name: &str| get(&payload, name).and_then(Place::of);
    let (before, after) = (place("before"), place("after"));
    let id: Option<String> = text(&payload, &["revokedMessageId"]).map(Into::into);
    let by = match (get(&payload, "after"), &after) {
        (Some(message), Some(place)) => sender(event, message, place),
        _ => String::new(),
    };
    let Some(mut revoked) = before.or(after) else {
        return other(event, payload);
    };
    if let Some(id) = id {
        revoked.bare_id.clone_from(&id);
        revoked.id = id;
    }
    let data = compose::revoked(revoked.documented_id(), &by);
    let subject = Subject::message(Some(revoked.chat), revoked.id, revoked.bare_id);
    let known = KnownEvent::MessageRevokeEveryone;
    event.posted.known(known, subject, event.posted.sent, data)
}

/// Returns an edit under its own name. Its id can be that of the message, so that several
/// edits have the same.
pub(super) fn edited<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let chat = Place::of(&payload).map(|place| place.chat);
    let id = text(&payload, &["editedMessageId"]).or_else(|| text(&payload, &["id"]));
    let subject = Subject {
        chat,
        message_id: id.map(Into::into),
        key: event.posted.key.clone(),
    };
    event.posted.own(subject, payload)
}

/// Returns a vote under its own name.
pub(super) fn vote<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let vote = get(&payload, "vote").and_then(Place::of);
    let poll = text(&payload, &["poll", "id"]).map(Into::into);
    let subject = match vote {
        Some(vote) => Subject {
            chat: Some(vote.chat),
            message_id: poll,
            key: Key::Text(vote.id),
        },
        None => Subject::chat(None, event.posted.key.clone()),
    };
    event.posted.own(subject, payload)
}

/// Returns any other event under its own name: about a message if its id is serialized,
/// otherwise about a chat. Several events can be about the same message.
pub(super) fn other<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let id = text(&payload, &["id"]);
    let message = id.as_deref().and_then(Serialized::parse);
    let of_message = message.map(|message| message.chat.to_owned());
    let is_message = of_message.is_some();
    let of_chat = || {
        let chat = text(&payload, &["chatId"])
            .or_else(|| text(&payload, &["id"]).filter(|id| id.contains('@')))
            .or_else(|| text(&payload, &["group", "id"]))
            .or_else(|| text(&payload, &["from"]));
        chat.map(String::from)
    };
    let subject = Subject {
        chat: of_message.or_else(of_chat),
        message_id: id.filter(|_| is_message).map(Into::into),
        key: event.posted.key.clone(),
    };
    event.posted.own(subject, payload)
}

fn level(payload: &Node<'_>) -> Option<i8> {
    let names = ["ERROR", "PENDING", "SERVER", "DEVICE", "READ", "PLAYED"];
    let of_name = || {
        let name = text(payload, &["ackName"])?;
        (-1..).zip(names).find(|(_, known)| *known == name)
    };
    let of_number =
        number(payload, &["ack"]).and_then(|ack| (-1..=5).find(|level| f64::from(*level) == ack));
    of_number.or_else(|| of_name().map(|(level, _)| level))
}

fn sender(event: &Event, payload: &Node<'_>, place: &Place) -> String {
    let participant = text(payload, &["participant"]);
    let of_chat = if place.from_me {
        &event.own_id
    } else {
        &place.chat
    };
    participant.map_or_else(|| of_chat.clone(), Into::into)
}
