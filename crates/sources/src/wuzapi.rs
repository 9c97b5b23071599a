//! wuzapi: `{type, event, …, userID, instanceName}`, where `event` is the event of whatsmeow,
//! a client library for WhatsApp. In a form, these are the members of `jsonData`.

mod groups;
mod messages;
mod session;

use wahook_domain::{EventName, json::Node};

use crate::{
    Adapted, Key, Part, Refusal, Request,
    member::{at, text},
    moment::moment,
    name::normalise,
    posted::{Posted, Subject},
};

/// Members that hold the chat, from the most to the least specific.
const CHATS: [&[&str]; 8] = [
    &["event", "Info", "Chat"],
    &["event", "Chat"],
    &["event", "ChatID"],
    &["event", "GroupJID"],
    &["event", "JID"],
    &["event", "From"],
    &["event", "ID"],
    &["event", "id"],
];

pub(crate) fn adapt<'a>(_: &Request<'_>, body: Node<'a>) -> Result<Adapted<'a>, Refusal> {
    let member = |name: &str| text(&body, &[name]).map(String::from);
    let kind = member("type");
    let name = kind.as_deref().and_then(normalise);
    let (Some(kind), Some(name)) = (kind, name) else {
        let reason = "the body is not an event of wuzapi: it has no `type`";
        return Err(Refusal::NotAnEvent(reason.to_owned()));
    };
    let posted = Posted {
        session: member("instanceName").or_else(|| member("userID")),
        sent: moment(&body, &["event", "Timestamp"])
            .or_else(|| moment(&body, &["event", "Info", "Timestamp"])),
        key: key(&name, &body),
        name,
    };
    let parts = parts(&kind, &posted, body);
    Ok(posted.adapted(parts))
}

/// Returns the key of an event without an id: its content, if it has a time or a version.
fn key(name: &EventName, body: &Node<'_>) -> Key {
    let is_presence = matches!(name.as_str(), "presence" | "chat_presence");
    let members = [
        "Timestamp",
        "Time",
        "ParticipantVersionID",
        "DHash",
        "Data",
        "LastSuccess",
    ];
    let mut members = members.into_iter();
    if !is_presence && members.any(|name| at(body, &["event", name]).is_some()) {
        Key::Content
    } else {
        Key::None
    }
}

fn parts<'a>(kind: &str, posted: &Posted, body: Node<'a>) -> Vec<Part<'a>> {
    let part = match kind {
        "Message" => messages::message(posted, body),
        "ReadReceipt" | "Receipt" => return messages::receipts(posted, body),
        "GroupInfo" => return groups::changes(posted, body),
        "JoinedGroup" => groups::joined(posted, body),
        "Picture" => groups::picture(posted, body),
        "CallOffer" | "CallOfferNotice" => session::call(posted, body),
        "CallAccept" | "CallReject" | "CallTerminate" => session::other_call(posted, body),
        "Connected" => session::connected(posted, body),
        "PairSuccess" => session::paired(posted, body),
        "PairError" | "ConnectFailure" => session::failed(posted, body),
        "LoggedOut" | "Disconnected" | "StreamReplaced" | "ClientOutdated" | "TemporaryBan" => {
            session::disconnected(posted, body)
        }
        _ => other(posted, body),
    };
    vec![part]
}

/// Returns any other event under its own name, with the whole body.
fn other<'a>(posted: &Posted, body: Node<'a>) -> Part<'a> {
    let chat = CHATS.into_iter().find_map(|path| text(&body, path));
    let chat = chat.filter(|chat| chat.contains('@')).map(Into::into);
    let member = |path: &[&str]| text(&body, path).map(String::from);
    let subject = match member(&["event", "Info", "ID"]) {
        Some(id) => Subject::message(chat, id.clone(), id),
        None => Subject {
            chat,
            message_id: member(&["event", "MessageID"]),
            key: posted.key.clone(),
        },
    };
    posted.own(subject, body)
}
