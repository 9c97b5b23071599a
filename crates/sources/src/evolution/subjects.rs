//! Groups, contacts and calls, and all events without a documented counterpart.

use wahook_domain::{KnownEvent, json::Node};

use super::event::Event;
use crate::{
    Key, Part,
    compose::{self, Call},
    member::{at, is_true, text},
    moment::moment,
    posted::Subject,
};

/// Paths to the chat of an event, in order of preference.
const CHATS: [&[&str]; 5] = [
    &["key", "remoteJid"],
    &["remoteJid"],
    &["chatId"],
    &["association", "chatId"],
    &["id"],
];

/// Returns an event under its own name, with its own payload.
pub(super) fn own<'a>(event: &Event, node: Node<'a>) -> Part<'a> {
    let subject = Subject::chat(chat(&node), event.posted.key.clone());
    event.posted.own(subject, node)
}

pub(super) fn contact<'a>(event: &Event, node: Node<'a>) -> Part<'a> {
    // Version 1 calls the JID `id`.
    let id = text(&node, &["remoteJid"]).or_else(|| text(&node, &["id"]));
    let Some(id) = id.map(String::from) else {
        return own(event, node);
    };
    let name = text(&node, &["pushName"]).unwrap_or_default();
    let data = compose::contact(&id, &name);
    let subject = subject_of_item(event, id);
    let changed = KnownEvent::ContactChanged;
    event.posted.known(changed, subject, None, data)
}

/// Returns the change of a group's subject or description; other changes keep their name.
pub(super) fn group<'a>(event: &Event, node: Node<'a>) -> Part<'a> {
    let is_documented = at(&node, &["subject"]).or(at(&node, &["desc"])).is_some();
    let Some(id) = text(&node, &["id"]).filter(|_| is_documented) else {
        return own(event, node);
    };
    let member = |name| text(&node, &[name]).unwrap_or_default();
    let (subject, description) = (member("subject"), member("desc"));
    let data = compose::group(&id, &subject, &description, &member("author"));
    let subject = subject_of_item(event, id.into());
    let update = KnownEvent::GroupUpdate;
    event.posted.known(update, subject, None, data)
}

/// Returns a change of a group's members; of their rights, under its own name.
pub(super) fn participants<'a>(event: &Event, node: Node<'a>) -> Part<'a> {
    let known = match text(&node, &["action"]).as_deref() {
        Some("add") => KnownEvent::GroupJoin,
        Some("remove") => KnownEvent::GroupLeave,
        _ => return own(event, node),
    };
    let Some(id) = text(&node, &["id"]) else {
        return own(event, node);
    };
    let members = match at(&node, &["participants"]) {
        Some(Node::Array(members)) => members.iter().filter_map(participant).collect(),
        _ => Vec::new(),
    };
    let author = text(&node, &["author"]).unwrap_or_default();
    let data = compose::members(&id, &members, &author);
    let subject = Subject::chat(Some(id.into()), event.posted.key.clone());
    event.posted.known(known, subject, None, data)
}

pub(super) fn call<'a>(event: &Event, node: Node<'a>) -> Part<'a> {
    let member = |name| text(&node, &[name]).map(String::from);
    let from = member("from").or_else(|| member("chatId"));
    let (Some(id), Some(from)) = (member("id"), from) else {
        return own(event, node);
    };
    let status = member("status");
    let key = format!("{id}:{}", status.as_deref().unwrap_or_default());
    let chat = member("chatId").or_else(|| Some(from.clone()));
    let timestamp = moment(&node, &["date"]);
    let call = Call {
        id,
        from,
        timestamp,
        is_video: is_true(&node, &["isVideo"]),
        is_group: is_true(&node, &["isGroup"]),
        status,
    };
    let subject = Subject::chat(chat, Key::Text(key));
    let known = KnownEvent::Call;
    event
        .posted
        .known(known, subject, timestamp, call.into_data())
}

/// Returns the subject of one of several items in a request: its key is the time at which the
/// request is sent, with the item's chat.
fn subject_of_item(event: &Event, chat: String) -> Subject {
    let key = event.sent.as_ref().map(|sent| format!("{sent}:{chat}"));
    Subject::chat(Some(chat), key.map_or(Key::None, Key::Text))
}

/// Returns the JID of a participant: a text, or an object in newer versions of Baileys.
fn participant(node: &Node<'_>) -> Option<String> {
    let id = text(node, &[]).or_else(|| text(node, &["id"]));
    id.map(String::from)
}

fn chat(node: &Node<'_>) -> Option<String> {
    let node = match node {
        Node::Array(items) => match items.as_slice() {
            [item] => item,
            _ => return None,
        },
        other => other,
    };
    let found = CHATS
        .into_iter()
        .filter_map(|path| text(node, path))
        .chain(text(node, &[]))
        .find(|id| id.contains('@'));
    found.map(String::from)
}
