//! Groups: one event of whatsmeow can hold several changes.

use wahook_domain::{KnownEvent, json::Node};

use super::other;
use crate::{
    Part, compose, jid,
    member::{at, text},
    posted::{Posted, Subject},
};

/// Returns the changes of a group with a documented counterpart: members who joined or left, a
/// new subject or description. If there are none, the event keeps its name.
pub(super) fn changes<'a>(posted: &Posted, body: Node<'a>) -> Vec<Part<'a>> {
    let Some(chat) = text(&body, &["event", "JID"]).map(String::from) else {
        return vec![other(posted, body)];
    };
    let author = author(&body);
    let part = |known, data| {
        let subject = Subject::chat(Some(chat.clone()), posted.key.clone());
        posted.known(known, subject, posted.sent, data)
    };
    let mut parts = Vec::new();
    for (name, known) in [
        ("Join", KnownEvent::GroupJoin),
        ("Leave", KnownEvent::GroupLeave),
    ] {
        let members = ids(&body, name);
        if !members.is_empty() {
            parts.push(part(known, compose::members(&chat, &members, &author)));
        }
    }
    let subject = text(&body, &["event", "Name", "Name"]);
    let description = text(&body, &["event", "Topic", "Topic"]);
    if subject.is_some() || is_set(&body, "Topic") {
        let (subject, description) = (subject.unwrap_or_default(), description.unwrap_or_default());
        let data = compose::group(&chat, &subject, &description, &author);
        parts.push(part(KnownEvent::GroupUpdate, data));
    }
    if parts.is_empty() {
        parts.push(other(posted, body));
    }
    parts
}

/// Returns the event of a group that the session joined. Its own number is not in the body.
pub(super) fn joined<'a>(posted: &Posted, body: Node<'a>) -> Part<'a> {
    let Some(chat) = text(&body, &["event", "JID"]).map(String::from) else {
        return other(posted, body);
    };
    let data = compose::members(&chat, &[], &author(&body));
    let subject = Subject::chat(Some(chat), posted.key.clone());
    posted.known(KnownEvent::GroupJoin, subject, posted.sent, data)
}

/// Returns the event of a group's picture; that of a contact keeps its name.
pub(super) fn picture<'a>(posted: &Posted, body: Node<'a>) -> Part<'a> {
    let chat = text(&body, &["event", "JID"]).filter(|chat| jid::is_group(chat));
    let Some(chat) = chat.map(String::from) else {
        return other(posted, body);
    };
    let author = text(&body, &["event", "Author"]).unwrap_or_default();
    let data = compose::group(&chat, "", "", &author);
    let subject = Subject::chat(Some(chat), posted.key.clone());
    posted.known(KnownEvent::GroupUpdate, subject, posted.sent, data)
}

/// Returns the member who made the change: by number, if it is known.
fn author(body: &Node<'_>) -> String {
    let author = text(body, &["event", "SenderPN"]).or_else(|| text(body, &["event", "Sender"]));
    author.unwrap_or_default().into()
}

fn is_set(body: &Node<'_>, name: &str) -> bool {
    matches!(at(body, &["event", name]), Some(Node::Object(_)))
}

fn ids(body: &Node<'_>, name: &str) -> Vec<String> {
    let Some(Node::Array(items)) = at(body, &["event", name]) else {
        return Vec::new();
    };
    let ids = items.iter().filter_map(|item| text(item, &[]));
    ids.map(Into::into).collect()
}
