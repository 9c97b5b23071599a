//! go-whatsapp-web-multidevice: `{event, device_id, session_id?, payload, timestamp?}`.

mod messages;

use wahook_domain::{KnownEvent, json::Node};

use crate::{
    Adapted, Key, Part, Refusal, Request, compose,
    member::{get, into_member, is_true, text},
    moment::moment,
    name::normalise,
    posted::{Posted, Subject},
};

/// Request of the gateway, without its payload.
struct Event {
    posted: Posted,
    /// JID of the session's own number.
    own_id: String,
}

pub(crate) fn adapt<'a>(_: &Request<'_>, body: Node<'a>) -> Result<Adapted<'a>, Refusal> {
    let member = |name: &str| text(&body, &[name]).map(String::from);
    let name = text(&body, &["event"]).and_then(|name| normalise(&name));
    let name = name.ok_or_else(|| {
        let reason = "the body is not an event of go-whatsapp-web-multidevice: it has no `event`";
        Refusal::NotAnEvent(reason.to_owned())
    })?;
    let sent = moment(&body, &["timestamp"]).or_else(|| moment(&body, &["payload", "timestamp"]));
    let key = match name.as_str() {
        // Times have a resolution of one second: two presences can be equal.
        "chat_presence" => Key::None,
        _ => sent.map_or(Key::None, |_| Key::Content),
    };
    let event = Event {
        posted: Posted {
            name,
            session: member("session_id").or_else(|| member("device_id")),
            sent,
            key,
        },
        own_id: member("device_id").unwrap_or_default(),
    };
    let payload = into_member(body, &["payload"]).unwrap_or(Node::Null);
    let parts = parts(&event, payload);
    Ok(event.posted.adapted(parts))
}

fn parts<'a>(event: &Event, payload: Node<'a>) -> Vec<Part<'a>> {
    let part = match event.posted.name.as_str() {
        "message" => messages::created(event, payload),
        "message.reaction" => messages::reaction(event, payload),
        "message.revoked" => messages::revoked(event, payload),
        "message.edited" => messages::edited(event, payload),
        "message.deleted" => messages::deleted(event, payload),
        "message.ack" => return messages::acks(event, payload),
        "group.participants" | "group.joined" => members(event, payload),
        "call.offer" => call(event, payload),
        _ => other(event, payload),
    };
    vec![part]
}

/// Returns the event of members who joined or left a group; other changes keep their name.
fn members<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let known = match text(&payload, &["type"]).as_deref() {
        Some("join") => Some(KnownEvent::GroupJoin),
        Some("leave") => Some(KnownEvent::GroupLeave),
        _ => None,
    };
    let chat = text(&payload, &["chat_id"]).map(String::from);
    let (Some(known), Some(chat)) = (known, chat) else {
        return other(event, payload);
    };
    let members = texts(&payload, "jids");
    let data = compose::members(&chat, &members, "");
    let subject = Subject::chat(Some(chat), event.posted.key.clone());
    event.posted.known(known, subject, event.posted.sent, data)
}

/// Returns an incoming call. The gateway does not post whether it is a video call.
fn call<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let member = |name: &str| text(&payload, &[name]).map(String::from);
    let (Some(id), Some(from)) = (member("call_id"), member("from")) else {
        return other(event, payload);
    };
    let group = member("group_jid");
    let is_rejected = is_true(&payload, &["auto_rejected"]);
    let call = compose::Call {
        id: id.clone(),
        from: from.clone(),
        timestamp: event.posted.sent,
        is_video: false,
        is_group: group.is_some(),
        status: is_rejected.then(|| "rejected".to_owned()),
    };
    let subject = Subject::chat(group.or(Some(from)), Key::Text(id));
    let (known, data) = (KnownEvent::Call, call.into_data());
    event.posted.known(known, subject, event.posted.sent, data)
}

/// Returns any other event under its own name.
fn other<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let names = ["chat_id", "newsletter_id", "from"];
    let mut chats = names.into_iter().filter_map(|name| text(&payload, &[name]));
    let chat = chats.next().map(Into::into);
    let subject = Subject::chat(chat, event.posted.key.clone());
    event.posted.own(subject, payload)
}

fn texts(node: &Node<'_>, name: &str) -> Vec<String> {
    let Some(Node::Array(items)) = get(node, name) else {
        return Vec::new();
    };
    let texts = items.iter().filter_map(|item| text(item, &[]));
    texts.map(Into::into).collect()
}
