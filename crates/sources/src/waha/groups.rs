//! Groups and their members.

use wahook_domain::{KnownEvent, json::Node};

use super::{Event, messages};
use crate::{
    Part, compose,
    member::{get, text},
    moment::moment,
    posted::Subject,
};

/// Returns an event of the names before `group.v2`: a notification of WEBJS, or what the
/// engine posts about a group that the session joined.
pub(super) fn notified<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let chat = text(&payload, &["chatId"]).or_else(|| text(&payload, &["id"]));
    let Some(chat) = chat.map(String::from) else {
        return messages::other(event, payload);
    };
    let members = match ids(&payload, "recipientIds") {
        members if members.is_empty() => vec![event.own_id.clone()],
        members => members,
    };
    let known = match event.posted.name.as_str() {
        "group.leave" => KnownEvent::GroupLeave,
        _ => KnownEvent::GroupJoin,
    };
    let data = compose::members(&chat, &members, &author(&payload));
    known_event(event, known, chat, &payload, data)
}

/// Returns the event of a group that the session itself joined or left.
pub(super) fn own_membership<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let Some(chat) = text(&payload, &["group", "id"]).map(String::from) else {
        return messages::other(event, payload);
    };
    let known = match event.posted.name.as_str() {
        "group.v2.leave" => KnownEvent::GroupLeave,
        _ => KnownEvent::GroupJoin,
    };
    let members = [event.own_id.clone()];
    let data = compose::members(&chat, &members, &author(&payload));
    known_event(event, known, chat, &payload, data)
}

/// Returns the event of members who joined or left; other changes keep their name.
pub(super) fn participants<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let known = match text(&payload, &["type"]).as_deref() {
        Some("join") => Some(KnownEvent::GroupJoin),
        Some("leave") => Some(KnownEvent::GroupLeave),
        _ => None,
    };
    let chat = text(&payload, &["group", "id"]).map(String::from);
    let (Some(known), Some(chat)) = (known, chat) else {
        return messages::other(event, payload);
    };
    let members = ids(&payload, "participants");
    let data = compose::members(&chat, &members, &author(&payload));
    known_event(event, known, chat, &payload, data)
}

/// Returns the event of a changed group. WAHA posts only what changed; the rest is empty.
pub(super) fn updated<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let Some(chat) = text(&payload, &["group", "id"]).map(String::from) else {
        return messages::other(event, payload);
    };
    let subject = text(&payload, &["group", "subject"]).unwrap_or_default();
    let description = text(&payload, &["group", "description"]).unwrap_or_default();
    let data = compose::group(&chat, &subject, &description, &author(&payload));
    known_event(event, KnownEvent::GroupUpdate, chat, &payload, data)
}

fn known_event<'a>(
    event: &Event,
    known: KnownEvent,
    chat: String,
    payload: &Node<'_>,
    data: Node<'a>,
) -> Part<'a> {
    let timestamp = moment(payload, &["timestamp"]).or(event.posted.sent);
    let subject = Subject::chat(Some(chat), event.posted.key.clone());
    event.posted.known(known, subject, timestamp, data)
}

/// Returns the member who made the change, if the engine posts it.
fn author(payload: &Node<'_>) -> String {
    let paths: [&[&str]; 4] = [
        &["author"],
        &["_data", "author"],
        &["_data", "SenderPN"],
        &["_data", "Sender"],
    ];
    let author = paths.into_iter().find_map(|path| text(payload, path));
    author.unwrap_or_default().into()
}

/// Returns ids in an array: texts, or objects with an `id`.
fn ids(payload: &Node<'_>, name: &str) -> Vec<String> {
    let Some(Node::Array(items)) = get(payload, name) else {
        return Vec::new();
    };
    let id = |item| text(item, &[]).or_else(|| text(item, &["id"]));
    items.iter().filter_map(id).map(Into::into).collect()
}
