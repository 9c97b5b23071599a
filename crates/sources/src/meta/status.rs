//! Statuses of messages that the business sent.

use wahook_domain::{KnownEvent, json::Node};

use super::{Change, id, known, own};
use crate::{Key, Part, compose, member::text, posted::Subject};

pub(super) fn part<'a>(change: &Change<'_>, item: Node<'a>) -> Part<'a> {
    let member = |name: &str| text(&item, &[name]).map(String::from);
    let Some(message) = member("id") else {
        return own(change, Subject::chat(None, Key::None), item);
    };
    let chat = member("recipient_id").or_else(|| member("recipient_user_id"));
    let chat = match member("recipient_type") {
        Some(kind) if kind == "group" => chat.map(|group| format!("{group}@g.us")),
        _ => chat,
    };
    let status = member("status").unwrap_or_default();
    // Statuses of calls and payments have a type.
    let kind = member("type");
    let level = match kind {
        None => level(&status),
        Some(_) => None,
    };
    let data = level.map(|level| {
        let id = id(true, chat.as_deref().unwrap_or_default(), &message);
        compose::ack(id, level)
    });
    // In a group, each member has a status.
    let participant = member("recipient_participant_id").unwrap_or_default();
    let key = match level {
        Some(level) => format!("{message} {level} {participant}"),
        None => format!("{message} {status} {participant}"),
    };
    let key = key.trim_end().to_owned();
    let subject = match kind {
        Some(kind) if kind == "call" => Subject::chat(chat, Key::Text(key)),
        _ => Subject::message(chat, message, key),
    };
    match data {
        Some(data) => known(change, KnownEvent::MessageAck, subject, item, data),
        None => own(change, subject, item),
    }
}

fn level(status: &str) -> Option<i8> {
    match status {
        "failed" => Some(-1),
        "sent" => Some(1),
        "delivered" => Some(2),
        "read" => Some(3),
        "played" => Some(4),
        _ => None,
    }
}
