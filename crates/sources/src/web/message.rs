//! Messages and acknowledgements of WhatsApp Web.

use wahook_domain::{KnownEvent, json::Node};

use super::{
    event::own,
    id::{MessageId, contact},
};
use crate::{
    Part,
    compose::{self, Media},
    jid,
    member::{is_true, number, text},
    moment::moment,
    posted::{Posted, Subject},
};

/// Types of messages with a file.
const FILES: [&str; 7] = [
    "image", "video", "ptv", "ptt", "audio", "document", "sticker",
];

/// Returns a message. The body of a message with a file may be the file, which `is_file`
/// decides, or a thumbnail, which is dropped.
pub(crate) fn message<'a>(
    posted: &Posted,
    node: Node<'a>,
    is_file: impl Fn(&str) -> bool,
) -> Part<'a> {
    let Some(id) = MessageId::of(&node, &["id"]) else {
        return own(posted, node);
    };
    let from_me = id.from_me || is_true(&node, &["fromMe"]);
    let chat = id.chat.clone().or_else(|| contact(&node, &["chatId"]));
    let kind = text(&node, &["type"]).map_or("chat".into(), String::from);
    let other = |is_chat: bool| chat.clone().filter(|_| is_chat).unwrap_or_default();
    let from = contact(&node, &["from"]).unwrap_or_else(|| other(!from_me));
    let is_of_group = chat.as_deref().is_some_and(jid::is_group);
    let author = contact(&node, &["author"])
        .or_else(|| id.participant.clone())
        .or_else(|| contact(&node, &["sender"]));
    let timestamp = moment(&node, &["timestamp"]).or_else(|| moment(&node, &["t"]));
    let notify_name = text(&node, &["notifyName"]).or_else(|| text(&node, &["sender", "pushname"]));
    let has_media = FILES.contains(&kind.as_str()) || is_true(&node, &["isMedia"]);
    let message = compose::Message {
        id: id.data(),
        body: body(&node, &kind, has_media),
        kind,
        timestamp: timestamp.or(posted.sent),
        from,
        to: contact(&node, &["to"]).unwrap_or_else(|| other(from_me)),
        from_me,
        is_forwarded: is_true(&node, &["isForwarded"]),
        author: author.filter(|_| is_of_group),
        notify_name: notify_name.map(String::from),
        media: has_media.then(|| media(node, is_file)),
    };
    let subject = Subject::message(chat, id.serialized.clone(), id.serialized);
    let create = KnownEvent::MessageCreate;
    posted.known(create, subject, timestamp, message.into_data())
}

/// Returns an acknowledgement. All errors have the documented level -1.
pub(crate) fn ack<'a>(posted: &Posted, node: Node<'a>) -> Part<'a> {
    let id = MessageId::of(&node, &["id"]).or_else(|| MessageId::of(&node, &["messageId"]));
    let (Some(id), Some(level)) = (id, level(&node)) else {
        return own(posted, node);
    };
    let chat = id.chat.clone().or_else(|| contact(&node, &["chatId"]));
    let key = format!("{}:{level}", id.serialized);
    let data = compose::ack(id.data(), level);
    let subject = Subject::message(chat, id.serialized, key);
    posted.known(KnownEvent::MessageAck, subject, posted.sent, data)
}

fn level(node: &Node<'_>) -> Option<i8> {
    let level = number(node, &["ack"])?.max(-1.0);
    (-1..=5i8).find(|known| f64::from(*known) == level)
}

fn body(node: &Node<'_>, kind: &str, has_media: bool) -> String {
    let body = match kind {
        _ if has_media => text(node, &["caption"]),
        // The body is a picture of the map.
        "location" => text(node, &["loc"]),
        _ => text(node, &["body"]).or_else(|| text(node, &["text"])),
    };
    body.map_or_else(String::new, String::from)
}

fn media<'a>(node: Node<'a>, is_file: impl Fn(&str) -> bool) -> Media<'a> {
    let Node::Object(mut members) = node else {
        return Media::default();
    };
    let url = members
        .remove("fileUrl")
        .or_else(|| members.remove("cloudUrl"));
    let data = members.remove("body").filter(|body| match body {
        Node::Text(text) => url.is_none() && is_file(&text.to_str().0),
        _ => false,
    });
    Media {
        mimetype: members.remove("mimetype"),
        filename: members.remove("filename"),
        data,
        url,
    }
}
