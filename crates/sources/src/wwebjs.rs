//! wwebjs-api and its forks: `{dataType, data, sessionId}`, with the objects of
//! whatsapp-web.js in `data`.
//!
//! Forks name some members otherwise: `msg` for `message`, `after` for the revoked message.

mod group;
mod own;

use std::ops::RangeInclusive;

use wahook_domain::{KnownEvent, json::Node};

use crate::{
    Adapted, Key, Part, Refusal, Request, compose, jid,
    member::{at, get, is_true, number, object, owned, text},
    moment::{moment, seconds},
    name::normalise,
    posted::{Posted, Subject},
    webjs::{MessageId, wid, with},
};

/// Documented levels of an acknowledgement.
const LEVELS: RangeInclusive<i8> = -1..=5;

pub(crate) fn adapt<'a>(_: &Request<'_>, payload: Node<'a>) -> Result<Adapted<'a>, Refusal> {
    let name = text(&payload, &["dataType"]).and_then(|name| normalise(&name));
    let name = name.ok_or_else(|| {
        Refusal::NotAnEvent("the member dataType is missing, which wwebjs-api always sends".into())
    })?;
    let posted = Posted {
        name,
        session: text(&payload, &["sessionId"]).map(Into::into),
        sent: None,
        key: Key::None,
    };
    let data = match payload {
        Node::Object(mut members) => members.remove("data"),
        _ => None,
    };
    let data = data.unwrap_or(Node::Null);
    let part = match documented(&posted, &data) {
        Some(part) => part,
        None => own::part(&posted, data),
    };
    Ok(posted.adapted(vec![part]))
}

/// Returns the event with documented data, if it has a counterpart and is complete.
fn documented<'a>(posted: &Posted, data: &Node<'a>) -> Option<Part<'a>> {
    match posted.name.as_str() {
        "message" | "message_create" => created(posted, data),
        "message_ack" => acknowledged(posted, data),
        "message_revoke_everyone" => revoked(posted, data),
        "message_reaction" => reacted(posted, data),
        "group_join" => group::members(posted, KnownEvent::GroupJoin, data),
        "group_leave" => group::members(posted, KnownEvent::GroupLeave, data),
        "group_update" => group::update(posted, data),
        "call" => call(posted, data),
        "contact_changed" => contact(posted, data),
        _ => session(posted, data),
    }
}

fn created<'a>(posted: &Posted, data: &Node<'a>) -> Option<Part<'a>> {
    let message = message(data)?;
    let id = MessageId::of(get(message, "id")?)?;
    let of_contact = |name| get(message, name).and_then(wid).unwrap_or_default();
    let (from, to) = (of_contact("from"), of_contact("to"));
    let plain = |name: &str| owned(text(message, &[name]).unwrap_or_default());
    let time = moment(message, &["timestamp"]);
    let mut documented = with(
        message.clone(),
        [
            ("id", id.to_node()),
            ("body", plain("body")),
            ("type", plain("type")),
            ("timestamp", seconds(time)),
            ("from", owned(jid::documented(&from))),
            ("to", owned(jid::documented(&to))),
            ("fromMe", Node::Bool(id.from_me)),
            ("hasMedia", Node::Bool(is_true(message, &["hasMedia"]))),
            (
                "isForwarded",
                Node::Bool(is_true(message, &["isForwarded"])),
            ),
        ],
    );
    if let Node::Object(members) = &mut documented {
        members.remove("_data");
    }
    if let Some(name) = text(message, &["_data", "notifyName"]) {
        documented = with(documented, [("notifyName", owned(name))]);
    }
    let chat = match (id.from_me, from.is_empty(), to.is_empty()) {
        (false, false, _) => from,
        (true, _, false) => to,
        _ => id.chat,
    };
    let subject = Subject::message(Some(chat), id.serialized.clone(), id.serialized);
    Some(posted.known(KnownEvent::MessageCreate, subject, time, documented))
}

fn acknowledged<'a>(posted: &Posted, data: &Node<'a>) -> Option<Part<'a>> {
    let message = message(data)?;
    let id = MessageId::of(get(message, "id")?)?;
    let level = number(data, &["ack"]).or_else(|| number(message, &["ack"]))?;
    let level = LEVELS.rev().find(|known| f64::from(*known) <= level);
    let level = level.unwrap_or(*LEVELS.start());
    let key = format!("{} {level}", id.serialized);
    let documented = compose::ack(id.to_node(), level);
    let subject = Subject::message(Some(id.chat), id.serialized, key);
    Some(posted.known(KnownEvent::MessageAck, subject, None, documented))
}

fn revoked<'a>(posted: &Posted, data: &Node<'a>) -> Option<Part<'a>> {
    let message = message(data)?;
    // The revocation itself is a message in newer versions.
    let id = get(message, "protocolMessageKey").and_then(MessageId::of);
    let id = id.or_else(|| MessageId::of(get(message, "id")?))?;
    let by = get(message, "author").and_then(wid);
    let by = by
        .or_else(|| wid(get(message, "from")?))
        .unwrap_or_default();
    let documented = compose::revoked(id.to_node(), &by);
    let subject = Subject::message(Some(id.chat), id.serialized.clone(), id.serialized);
    Some(posted.known(KnownEvent::MessageRevokeEveryone, subject, None, documented))
}

fn reacted<'a>(posted: &Posted, data: &Node<'a>) -> Option<Part<'a>> {
    let reaction = get(data, "reaction").filter(|node| matches!(node, Node::Object(_)));
    let reaction = reaction.unwrap_or(data);
    let id = MessageId::of(get(reaction, "id")?)?;
    let message = MessageId::of(get(reaction, "msgId")?)?;
    let emoji = text(reaction, &["reaction"]).unwrap_or_default();
    let sender = get(reaction, "senderId").and_then(wid).unwrap_or_default();
    let time = moment(reaction, &["timestamp"]);
    // The same reaction is posted again when its acknowledgement changes.
    let ack = number(reaction, &["ack"]).map_or(String::new(), |ack| ack.to_string());
    let key = format!(
        "{} {emoji} {} {ack}",
        id.serialized,
        time.map_or(0, |time| time.get())
    );
    let documented = compose::reaction(id.to_node(), message.to_node(), &emoji, &sender, time);
    let subject = Subject::message(Some(message.chat), message.serialized, key);
    Some(posted.known(KnownEvent::MessageReaction, subject, time, documented))
}

fn call<'a>(posted: &Posted, data: &Node<'a>) -> Option<Part<'a>> {
    let call = get(data, "call").unwrap_or(data);
    let id = text(call, &["id"])?;
    let from = get(call, "from")
        .or_else(|| get(call, "peerJid"))
        .and_then(wid)?;
    let time = moment(call, &["timestamp"]);
    let documented = compose::Call {
        id: id.clone().into(),
        from: from.clone(),
        timestamp: time,
        is_video: is_true(call, &["isVideo"]),
        is_group: is_true(call, &["isGroup"]),
        status: None,
    };
    let subject = Subject::chat(Some(from), Key::Text(id.into()));
    Some(posted.known(KnownEvent::Call, subject, time, documented.into_data()))
}

fn contact<'a>(posted: &Posted, data: &Node<'a>) -> Option<Part<'a>> {
    let new = get(data, "newId").and_then(wid)?;
    let old = get(data, "oldId").and_then(wid).unwrap_or_default();
    let name = text(data, &["message", "_data", "notifyName"]).unwrap_or_default();
    let id = at(data, &["message", "id"]).and_then(MessageId::of);
    let key = id.map_or(Key::None, |id| Key::Text(id.serialized));
    let documented = with(
        compose::contact(&new, &name),
        [("oldId", owned(jid::documented(&old)))],
    );
    let subject = Subject::chat(Some(new), key);
    Some(posted.known(KnownEvent::ContactChanged, subject, None, documented))
}

fn session<'a>(posted: &Posted, data: &Node<'a>) -> Option<Part<'a>> {
    let plain = |name: &str| text(data, &[name]).unwrap_or_default();
    let (event, documented) = match posted.name.as_str() {
        "authenticated" => {
            let session = posted.session.clone().unwrap_or_default();
            (
                KnownEvent::Authenticated,
                object([("session", owned(session))]),
            )
        }
        "ready" => (KnownEvent::Ready, compose::ready("", "")),
        "disconnected" => (
            KnownEvent::Disconnected,
            compose::disconnected(&plain("reason")),
        ),
        "status" | "auth_failure" => (
            KnownEvent::AuthFailure,
            compose::auth_failure(&plain("msg")),
        ),
        _ => return None,
    };
    Some(posted.known(event, Subject::chat(None, Key::None), None, documented))
}

/// Returns the message in the data.
fn message<'n, 'a>(data: &'n Node<'a>) -> Option<&'n Node<'a>> {
    let mut names = ["message", "msg", "after"].into_iter();
    let message = names.find_map(|name| get(data, name));
    message.or_else(|| get(data, "id").map(|_| data))
}
