//! Groups, calls and deletions of WhatsApp Web, and events without a documented counterpart.

use wahook_domain::{KnownEvent, json::Node};

use super::id::{MessageId, contact};
use crate::{
    Key, Part,
    compose::{self, Call},
    member::{at, is_true, text},
    moment::moment,
    posted::{Posted, Subject},
};

/// Paths to the chat of an event, in order of preference.
const CHATS: [&[&str]; 7] = [
    &["chatId"],
    &["chat", "id"],
    &["chat"],
    &["groupId"],
    &["id"],
    &["message", "chatId"],
    &["from"],
];

/// Paths to the message of an event, in order of preference.
const MESSAGES: [&[&str]; 5] = [
    &["id"],
    &["msgId"],
    &["parentMsgKey"],
    &["message", "id"],
    &["messageId"],
];

/// Returns an event under its own name, with its own payload.
pub(crate) fn own<'a>(posted: &Posted, node: Node<'a>) -> Part<'a> {
    let message = MESSAGES
        .into_iter()
        .filter_map(|path| MessageId::of(&node, path))
        .find(|id| id.chat.is_some());
    let chat = CHATS
        .into_iter()
        .filter_map(|path| contact(&node, path))
        .find(|id| id.contains('@') && !id.contains('_'));
    let of_message = message.as_ref().and_then(|id| id.chat.clone());
    let subject = Subject {
        chat: of_message.or(chat),
        message_id: message.map(|id| id.serialized),
        key: posted.key.clone(),
    };
    posted.own(subject, node)
}

/// Returns the subject of an event about a chat, or about none.
pub(crate) fn subject_of_chat(posted: &Posted, chat: Option<String>) -> Subject {
    Subject::chat(chat, posted.key.clone())
}

/// Returns a change of a group's members, `{by, action, who}`; of their rights, under its own
/// name. The name of the member with the group is given.
pub(crate) fn members<'a>(posted: &Posted, node: Node<'a>, group: &str) -> Part<'a> {
    let known = match text(&node, &["action"]).as_deref() {
        Some("add" | "join" | "invite" | "linked_group_join") => KnownEvent::GroupJoin,
        Some("remove" | "leave" | "leaver") => KnownEvent::GroupLeave,
        _ => return own(posted, node),
    };
    let Some(chat) = contact(&node, &[group]) else {
        return own(posted, node);
    };
    let who = match at(&node, &["who"]) {
        Some(Node::Array(who)) => who.iter().filter_map(|id| contact(id, &[])).collect(),
        _ => contact(&node, &["who"]).into_iter().collect::<Vec<_>>(),
    };
    let by = contact(&node, &["by"]).unwrap_or_default();
    let data = compose::members(&chat, &who, &by);
    let subject = subject_of_chat(posted, Some(chat));
    posted.known(known, subject, posted.sent, data)
}

pub(crate) fn call<'a>(posted: &Posted, node: Node<'a>) -> Part<'a> {
    let id = text(&node, &["id"]).map(String::from);
    let (Some(id), Some(from)) = (id, contact(&node, &["peerJid"])) else {
        return own(posted, node);
    };
    let key = Key::Text(id.clone());
    let chat = contact(&node, &["groupJid"]).or_else(|| Some(from.clone()));
    let timestamp = moment(&node, &["offerTime"]).or(posted.sent);
    let call = Call {
        id,
        from,
        timestamp,
        is_video: is_true(&node, &["isVideo"]),
        is_group: is_true(&node, &["isGroup"]),
        status: None,
    };
    let subject = Subject::chat(chat, key);
    posted.known(KnownEvent::Call, subject, timestamp, call.into_data())
}

/// Returns the deletion of a message.
pub(crate) fn revoked(posted: &Posted, id: &MessageId, by: &str) -> Part<'static> {
    let data = compose::revoked(id.data(), by);
    let key = id.serialized.clone();
    let subject = Subject::message(id.chat.clone(), id.serialized.clone(), key);
    let revoke = KnownEvent::MessageRevokeEveryone;
    posted.known(revoke, subject, posted.sent, data)
}
