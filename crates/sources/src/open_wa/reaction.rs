//! Reactions of open-wa.

use wahook_domain::{KnownEvent, UnixMillis, json::Node};

use crate::{
    Part, compose,
    member::{at, text},
    moment::moment,
    posted::{Posted, Subject},
    web::{self, MessageId, contact},
};

/// Returns the newest of the reactions that a message has: `{message, reactions: [{senders}]}`,
/// or a single one.
pub(super) fn adapt<'a>(posted: &Posted, node: Node<'a>) -> Part<'a> {
    match of_record(posted, newest(&node).unwrap_or(&node)) {
        Some(part) => part,
        None => web::own(posted, node),
    }
}

/// Returns a reaction of a sender: `{msgKey, parentMsgKey, senderUserJid, reactionText,
/// timestamp}`.
fn of_record(posted: &Posted, record: &Node<'_>) -> Option<Part<'static>> {
    let id = MessageId::of(record, &["msgKey"]).or_else(|| MessageId::of(record, &["id"]))?;
    let message = MessageId::of(record, &["parentMsgKey"])?;
    let emoji = text(record, &["reactionText"]).unwrap_or_default();
    let sender = contact(record, &["senderUserJid"]).unwrap_or_default();
    let timestamp = moment(record, &["timestamp"]).or(posted.sent);
    let data = compose::reaction(id.data(), message.data(), &emoji, &sender, timestamp);
    let time = timestamp.map_or(0, UnixMillis::get);
    let key = format!("{}:{emoji}:{time}", id.serialized);
    let subject = Subject::message(message.chat, message.serialized, key);
    Some(posted.known(KnownEvent::MessageReaction, subject, timestamp, data))
}

fn newest<'n, 'a>(node: &'n Node<'a>) -> Option<&'n Node<'a>> {
    let reactions = items(node, "reactions").iter();
    let records = reactions.flat_map(|reaction| items(reaction, "senders"));
    records.max_by_key(|record| moment(record, &["timestamp"]))
}

fn items<'n, 'a>(node: &'n Node<'a>, name: &str) -> &'n [Node<'a>] {
    match at(node, &[name]) {
        Some(Node::Array(items)) => items,
        _ => &[],
    }
}
