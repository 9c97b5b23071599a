//! State of a session, and calls.

use wahook_domain::{KnownEvent, json::Node};

use super::other;
use crate::{
    Key, Part, compose,
    member::{at, get, number, object, owned, text},
    posted::{Posted, Subject},
};

/// Returns a session that can send and receive. Its number is not in the body.
pub(super) fn connected<'a>(posted: &Posted, body: Node<'a>) -> Part<'a> {
    let name = text(&body, &["event", "Action", "name"]).unwrap_or_default();
    state(posted, KnownEvent::Ready, compose::ready(&name, ""))
}

pub(super) fn paired<'a>(posted: &Posted, body: Node<'a>) -> Part<'a> {
    let own_id = text(&body, &["event", "ID"]);
    let session = posted.session.as_deref().or(own_id.as_deref());
    let data = object([("session", owned(session.unwrap_or_default()))]);
    state(posted, KnownEvent::Authenticated, data)
}

pub(super) fn failed<'a>(posted: &Posted, body: Node<'a>) -> Part<'a> {
    let paths: [&[&str]; 2] = [&["event", "Message"], &["event", "Error"]];
    let message = paths.into_iter().find_map(|path| text(&body, path));
    let reason = number(&body, &["event", "Reason"]);
    let message = match (message, reason) {
        (Some(message), _) => message.into(),
        (None, Some(code)) => format!("connect failure {code}"),
        (None, None) => "pairing failed".to_owned(),
    };
    let data = compose::auth_failure(&message);
    state(posted, KnownEvent::AuthFailure, data)
}

pub(super) fn disconnected<'a>(posted: &Posted, body: Node<'a>) -> Part<'a> {
    let kind = text(&body, &["type"]);
    let reason = match kind.as_deref().unwrap_or_default() {
        "LoggedOut" => "LOGOUT",
        "StreamReplaced" => "CONFLICT",
        "ClientOutdated" => "DEPRECATED_VERSION",
        "TemporaryBan" => "TOS_BLOCK",
        _ => "DISCONNECTED",
    };
    let data = compose::disconnected(reason);
    state(posted, KnownEvent::Disconnected, data)
}

/// Returns an incoming call. A group call can be posted twice, with the same id.
pub(super) fn call<'a>(posted: &Posted, body: Node<'a>) -> Part<'a> {
    let member = |name: &str| text(&body, &["event", name]).map(String::from);
    let from = member("CallCreator").or_else(|| member("From"));
    let (Some(id), Some(from)) = (member("CallID"), from) else {
        return other(posted, body);
    };
    let group = member("GroupJID");
    let is_group = group.is_some() || member("Type").as_deref() == Some("group");
    let call = compose::Call {
        id: id.clone(),
        from: from.clone(),
        timestamp: posted.sent,
        is_video: member("Media").as_deref() == Some("video") || offers_video(&body),
        is_group,
        status: None,
    };
    let subject = Subject::chat(group.or(Some(from)), Key::Text(id));
    posted.known(KnownEvent::Call, subject, posted.sent, call.into_data())
}

/// Returns another event of a call under its own name.
pub(super) fn other_call<'a>(posted: &Posted, body: Node<'a>) -> Part<'a> {
    let id = text(&body, &["event", "CallID"]).map(String::from);
    let mut part = other(posted, body);
    if let Some(id) = id {
        part.identity.key = Key::Text(id);
    }
    part
}

fn offers_video(body: &Node<'_>) -> bool {
    let Some(Node::Array(tags)) = at(body, &["event", "Data", "Content"]) else {
        return false;
    };
    tags.iter()
        .any(|tag| get(tag, "Tag").and_then(|tag| text(tag, &[])).as_deref() == Some("video"))
}

fn state<'a>(posted: &Posted, known: KnownEvent, data: Node<'a>) -> Part<'a> {
    let subject = Subject::chat(None, posted.key.clone());
    posted.known(known, subject, posted.sent, data)
}
