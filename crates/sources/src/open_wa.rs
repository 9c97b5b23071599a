//! open-wa, versions 4 and 5.
//!
//! Version 4 posts `{ts, sessionId, id, event: "onMessage", data, webhook_id}`, version 5
//! `{webhookId, sessionId, event: "message.received", payload, timestamp}`. The data of version
//! 4 may be a text, a number or a truth value.

mod reaction;
mod session;

use wahook_domain::{KnownEvent, json::Node};

use crate::{
    Adapted, Key, Part, Refusal, Request, compose,
    member::{at, into_member, text},
    moment::moment,
    name::normalise,
    posted::Posted,
    web::{self, MessageId, contact},
};

/// Path of members within the payload of version 5, and the payload itself of version 4.
type Inner = &'static [&'static str];

pub(crate) fn adapt<'a>(_request: &Request<'_>, payload: Node<'a>) -> Result<Adapted<'a>, Refusal> {
    let event = text(&payload, &["event"]).map(String::from);
    let (name, event) = match (event.as_deref().and_then(normalise), event) {
        (Some(name), Some(event)) => (name, event),
        _ => {
            let message = "the body is not an event of open-wa: it has no `event`";
            return Err(Refusal::NotAnEvent(message.to_owned()));
        }
    };
    let sent = moment(&payload, &["ts"]).or_else(|| moment(&payload, &["timestamp"]));
    // Version 4 gives each event an id, version 5 the time of its post.
    let id = text(&payload, &["id"]).map(|id| Key::Text(id.into()));
    let posted = Posted {
        name,
        session: text(&payload, &["sessionId"]).map(String::from),
        sent,
        key: id.unwrap_or(if sent.is_some() {
            Key::Content
        } else {
            Key::None
        }),
    };
    let node = into_data(payload);
    let part = part(&posted, &event, node);
    Ok(posted.adapted(vec![part]))
}

fn part<'a>(posted: &Posted, event: &str, node: Node<'a>) -> Part<'a> {
    match event {
        "onMessage" | "onAnyMessage" => web::message(posted, node, is_file),
        "message.received" | "message.any" => {
            within(posted, node, &["message"], |posted, message| {
                web::message(posted, message, is_file)
            })
        }
        "onAck" => web::ack(posted, node),
        "ack.changed" => within(posted, node, &["ack"], web::ack),
        "onMessageDeleted" => deleted(posted, node, &["id"]),
        "message.deleted" => deleted(posted, node, &["messageId"]),
        "onGlobalParticipantsChanged" => members(posted, node),
        "group.participants.changed.global" => within(posted, node, &["change"], members),
        "onGroupChange" => group(posted, node),
        "onIncomingCall" => web::call(posted, node),
        "call.incoming" => within(posted, node, &["call"], web::call),
        "onReaction" => reaction::adapt(posted, node),
        "reaction.added" => within(posted, node, &["reaction"], reaction::adapt),
        "onStateChanged" | "session.state.changed" => session::state(posted, node),
        "client.ready" => session::ready(posted),
        "onLogout" | "session.logout" | "auth.logout" => session::disconnected(posted, "LOGOUT"),
        "session.connection.disconnected" => session::connection(posted, node),
        _ => web::own(posted, node),
    }
}

/// Adapts a member of the payload; if it is missing, the payload keeps its name.
fn within<'a>(
    posted: &Posted,
    node: Node<'a>,
    path: Inner,
    adapt: impl FnOnce(&Posted, Node<'a>) -> Part<'a>,
) -> Part<'a> {
    if at(&node, path).is_none() {
        return web::own(posted, node);
    }
    adapt(posted, into_member(node, path).unwrap_or(Node::Null))
}

fn members<'a>(posted: &Posted, node: Node<'a>) -> Part<'a> {
    web::members(posted, node, "chat")
}

fn deleted<'a>(posted: &Posted, node: Node<'a>, id: Inner) -> Part<'a> {
    let Some(id) = MessageId::of(&node, id) else {
        return web::own(posted, node);
    };
    let by = contact(&node, &["by"])
        .or_else(|| contact(&node, &["author"]))
        .or_else(|| contact(&node, &["from"]));
    web::revoked(posted, &id, &by.unwrap_or_default())
}

/// Returns a change of a group's subject, description or picture; others keep their name.
fn group<'a>(posted: &Posted, node: Node<'a>) -> Part<'a> {
    let kind = text(&node, &["type"]).map(String::from);
    let chat = contact(&node, &["groupMetadata", "id"]);
    let chat = chat.or_else(|| MessageId::of(&node, &["id"]).and_then(|id| id.chat));
    let (Some(kind @ ("subject" | "description" | "picture" | "picutre")), Some(chat)) =
        (kind.as_deref(), chat)
    else {
        return web::own(posted, node);
    };
    let member = |path: &[&str]| text(&node, path).unwrap_or_default();
    let subject = match kind {
        "subject" => member(&["body"]),
        _ => member(&["groupMetadata", "subject"]),
    };
    let description = match kind {
        "description" => member(&["body"]),
        _ => member(&["groupMetadata", "desc"]),
    };
    let author = contact(&node, &["author"]).unwrap_or_default();
    let data = compose::group(&chat, &subject, &description, &author);
    let subject = web::subject_of_chat(posted, Some(chat));
    posted.known(KnownEvent::GroupUpdate, subject, posted.sent, data)
}

/// The body of a message with a file is a thumbnail, unless open-wa is set to replace it by the
/// file as a data URL.
fn is_file(body: &str) -> bool {
    body.starts_with("data:")
}

fn into_data(payload: Node<'_>) -> Node<'_> {
    let Node::Object(mut members) = payload else {
        return Node::Null;
    };
    let data = members.remove("data").or_else(|| members.remove("payload"));
    data.unwrap_or(Node::Null)
}
