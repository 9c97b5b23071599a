//! Any sender of JSON.
//!
//! The event's name is the last segment of the path, or the member `event`, `type`,
//! `eventType`, `action` or `topic`, or `event`. The payload is the whole body.

use std::borrow::Cow;

use wahook_domain::{EventName, json::Node};

use crate::{
    Adapted, Identity, Key, Refusal, Request,
    member::{as_object, get, text},
    moment::moment,
    name::normalise,
};

/// Members that name the event, in order of preference, like the lists below.
const NAMES: [&str; 5] = ["event", "type", "eventType", "action", "topic"];
/// Members that identify the event, and nothing else.
const EVENT_IDS: [&str; 2] = ["eventId", "event_id"];
/// Members that identify the event or its subject.
const IDS: [&str; 3] = ["id", "messageId", "message_id"];
const SESSIONS: [&str; 6] = [
    "session",
    "sessionId",
    "session_id",
    "instance",
    "instanceId",
    "device_id",
];
const CHATS: [&str; 4] = ["chatId", "chat_id", "chat", "remoteJid"];
const TIMES: [&str; 5] = ["timestamp", "time", "date", "createdAt", "created_at"];

pub(crate) fn adapt<'a>(request: &Request<'_>, payload: Node<'a>) -> Result<Adapted<'a>, Refusal> {
    let of_path = request.path.rsplit('/').next().and_then(normalise);
    let named = |name: &str| text(&payload, &[name]).and_then(|name| normalise(&name));
    let name = of_path.or_else(|| NAMES.into_iter().find_map(named));
    let timestamp = TIMES.into_iter().find_map(|name| moment(&payload, &[name]));
    let key = match first(&payload, &EVENT_IDS) {
        Some(id) => Key::Text(id),
        // The subject's id alone does not say which event this is: a message has several.
        None if timestamp.is_some() || has(&payload, &IDS) => Key::Content,
        None => Key::None,
    };
    let identity = Identity {
        name: name.map_or_else(default_name, Ok)?,
        session: first(&payload, &SESSIONS),
        chat: first(&payload, &CHATS),
        message_id: first(&payload, &["messageId", "message_id"]),
        key,
    };
    Ok(Adapted::single(identity, timestamp, as_object(payload)))
}

fn first(payload: &Node<'_>, names: &[&str]) -> Option<String> {
    let text = names.iter().find_map(|name| text(payload, &[name]));
    text.map(Cow::into_owned)
}

fn has(payload: &Node<'_>, names: &[&str]) -> bool {
    let mut values = names.iter().filter_map(|name| get(payload, name));
    values.any(|value| matches!(value, Node::Text(_) | Node::Number(_)))
}

fn default_name() -> Result<EventName, Refusal> {
    EventName::parse("event").map_err(|error| Refusal::NotAnEvent(error.to_string()))
}
