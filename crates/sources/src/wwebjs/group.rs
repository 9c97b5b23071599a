//! Changes of groups: `{notification: {id, chatId, author, recipientIds, type, body}}`.

use wahook_domain::{KnownEvent, json::Node};

use crate::{
    Key, Part, compose,
    member::{get, owned, text},
    moment::moment,
    posted::{Posted, Subject},
    webjs::{MessageId, wid, with},
};

pub(super) fn members<'a>(posted: &Posted, event: KnownEvent, data: &Node<'a>) -> Option<Part<'a>> {
    let (notification, subject) = notification(data)?;
    let recipients = match get(notification, "recipientIds") {
        Some(Node::Array(recipients)) => recipients.iter().filter_map(wid).collect(),
        _ => Vec::new(),
    };
    let author = get(notification, "author")
        .and_then(wid)
        .unwrap_or_default();
    let documented = compose::members(subject.chat.as_deref()?, &recipients, &author);
    let documented = with_type(documented, notification);
    Some(posted.known(
        event,
        subject,
        moment(notification, &["timestamp"]),
        documented,
    ))
}

pub(super) fn update<'a>(posted: &Posted, data: &Node<'a>) -> Option<Part<'a>> {
    let (notification, subject) = notification(data)?;
    let kind = text(notification, &["type"]).unwrap_or_default();
    let body = text(notification, &["body"]).unwrap_or_default();
    let new = |changed: &str| if kind == changed { &*body } else { "" };
    let author = get(notification, "author")
        .and_then(wid)
        .unwrap_or_default();
    let chat = subject.chat.as_deref()?;
    let documented = compose::group(chat, new("subject"), new("description"), &author);
    let documented = with_type(documented, notification);
    let time = moment(notification, &["timestamp"]);
    Some(posted.known(KnownEvent::GroupUpdate, subject, time, documented))
}

/// Adds the kind of the change, as `subject` or `picture`.
fn with_type(documented: Node<'static>, notification: &Node<'_>) -> Node<'static> {
    match text(notification, &["type"]) {
        Some(kind) => with(documented, [("type", owned(kind))]),
        None => documented,
    }
}

/// Returns the notification of a group, and what it is about.
pub(super) fn notification<'n, 'a>(data: &'n Node<'a>) -> Option<(&'n Node<'a>, Subject)> {
    let notification = get(data, "notification").unwrap_or(data);
    let id = get(notification, "id").and_then(MessageId::of);
    let chat = get(notification, "chatId").and_then(wid);
    let chat = chat.or_else(|| Some(id.as_ref()?.chat.clone()))?;
    let key = id.map_or(Key::None, |id| Key::Text(id.serialized));
    Some((notification, Subject::chat(Some(chat), key)))
}
