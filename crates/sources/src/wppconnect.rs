//! wppconnect-server.
//!
//! `{event, session, …}`: the members of the message, or of another payload, are spread at the
//! top level. Media are base64 in `body`.

use wahook_domain::{KnownEvent, json::Node};

use crate::{
    Adapted, Key, Part, Refusal, Request, compose, generic,
    member::{object, owned, text},
    moment::moment,
    name::normalise,
    posted::{Posted, Subject},
    web::{self, MessageId, contact},
};

pub(crate) fn adapt<'a>(request: &Request<'_>, payload: Node<'a>) -> Result<Adapted<'a>, Refusal> {
    let event = text(&payload, &["event"]).map(String::from);
    let (name, event) = match (event.as_deref().and_then(normalise), event) {
        (Some(name), Some(event)) => (name, event),
        // The mapper of wppconnect-server can rename all members.
        _ => return generic::adapt(request, payload),
    };
    // An acknowledgement has the time of its message.
    let sent = moment(&payload, &["t"])
        .or_else(|| moment(&payload, &["timestamp"]))
        .filter(|_| event != "onack");
    let is_unique = moment(&payload, &["timestamp"]).is_some() || event == "onpresencechanged";
    let posted = Posted {
        name,
        session: text(&payload, &["session"]).map(String::from),
        sent,
        key: match sent {
            Some(_) if is_unique => Key::Content,
            _ => Key::None,
        },
    };
    let part = part(&posted, &event, without_envelope(payload));
    Ok(posted.adapted(vec![part]))
}

fn part<'a>(posted: &Posted, event: &str, node: Node<'a>) -> Part<'a> {
    match event {
        "onmessage" | "onanymessage" | "onselfmessage" | "unreadmessages" => {
            web::message(posted, node, |_| true)
        }
        "onack" => web::ack(posted, node),
        "onrevokedmessage" => revoked(posted, node),
        "onreactionmessage" => reaction(posted, node),
        "onparticipantschanged" => web::members(posted, node, "groupId"),
        "incomingcall" => web::call(posted, node),
        "status-find" => status(posted, node),
        "closesession" => disconnected(posted, "CLOSED"),
        "logoutsession" => disconnected(posted, "LOGOUT"),
        _ => web::own(posted, node),
    }
}

/// Returns a deletion: `refId` is the deleted message, `id` the one that deletes it.
fn revoked<'a>(posted: &Posted, node: Node<'a>) -> Part<'a> {
    let Some(id) = MessageId::of(&node, &["refId"]) else {
        return web::own(posted, node);
    };
    let by = contact(&node, &["author"]).or_else(|| contact(&node, &["from"]));
    web::revoked(posted, &id, &by.unwrap_or_default())
}

fn reaction<'a>(posted: &Posted, node: Node<'a>) -> Part<'a> {
    let ids = MessageId::of(&node, &["id"]).zip(MessageId::of(&node, &["msgId"]));
    let Some((id, message)) = ids else {
        return web::own(posted, node);
    };
    let emoji = text(&node, &["reactionText"]).unwrap_or_default();
    // The sender is not posted, but it is part of the reaction's id.
    let chat = id.chat.clone().filter(|_| !id.from_me);
    let sender = id.participant.clone().or(chat).unwrap_or_default();
    let data = compose::reaction(id.data(), message.data(), &emoji, &sender, posted.sent);
    let key = format!("{}:{emoji}", id.serialized);
    let subject = Subject::message(message.chat, message.serialized, key);
    posted.known(KnownEvent::MessageReaction, subject, posted.sent, data)
}

/// Returns a state of the session; states on the way to it keep the name.
fn status<'a>(posted: &Posted, node: Node<'a>) -> Part<'a> {
    let status = text(&node, &["status"]).unwrap_or_default();
    let (known, data) = match &*status {
        "inChat" | "successChat" => (KnownEvent::Ready, compose::ready("", "")),
        "isLogged" | "qrReadSuccess" => {
            let session = posted.session.clone().unwrap_or_default();
            let data = object([("session", owned(session))]);
            (KnownEvent::Authenticated, data)
        }
        "qrReadError" | "qrReadFail" => (KnownEvent::AuthFailure, compose::auth_failure(&status)),
        "autocloseCalled" | "browserClose" | "disconnectedMobile" | "desconnectedMobile"
        | "phoneNotConnected" | "serverClose" | "deleteToken" => {
            return disconnected(posted, &status);
        }
        _ => return web::own(posted, node),
    };
    let subject = web::subject_of_chat(posted, None);
    posted.known(known, subject, posted.sent, data)
}

fn disconnected(posted: &Posted, reason: &str) -> Part<'static> {
    let subject = web::subject_of_chat(posted, None);
    let data = compose::disconnected(reason);
    posted.known(KnownEvent::Disconnected, subject, posted.sent, data)
}

fn without_envelope(mut payload: Node<'_>) -> Node<'_> {
    if let Node::Object(members) = &mut payload {
        members.remove("event");
        members.remove("session");
    }
    payload
}
