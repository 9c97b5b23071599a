//! Messages: created, acknowledged, reacted to, revoked.

use wahook_domain::{
    KnownEvent, UnixMillis,
    json::{Node, Object},
};

use super::other;
use crate::{
    Part,
    compose::{self, Media},
    content::Content,
    jid,
    member::{at, get, is_true, number, owned, text},
    moment::moment,
    posted::{Posted, Subject},
};

/// Type of a message of the protocol that deletes another one for everyone.
const REVOKE: f64 = 0.0;

/// Information about a message.
struct Info {
    id: String,
    chat: String,
    sender: String,
    from_me: bool,
    timestamp: Option<UnixMillis>,
}

impl Info {
    fn of(body: &Node<'_>) -> Option<Self> {
        let info = at(body, &["event", "Info"])?;
        Some(Self {
            id: text(info, &["ID"])?.into(),
            chat: text(info, &["Chat"])?.into(),
            sender: text(info, &["Sender"]).unwrap_or_default().into(),
            from_me: is_true(info, &["IsFromMe"]),
            timestamp: moment(info, &["Timestamp"]),
        })
    }

    fn documented_id(&self) -> Node<'static> {
        jid::message_id(self.from_me, &self.chat, &self.id)
    }
}

/// Returns what a message of WhatsApp is: a message, a reaction or a deletion. Other messages
/// of the protocol, such as edits and votes, keep their name.
pub(super) fn message<'a>(posted: &Posted, body: Node<'a>) -> Part<'a> {
    let message = at(&body, &["event", "Message"]);
    let (Some(info), Some(message)) = (Info::of(&body), message) else {
        return other(posted, body);
    };
    if let Some(key) = at(message, &["protocolMessage", "key"]) {
        let kind = number(message, &["protocolMessage", "type"]).unwrap_or(REVOKE);
        return match text(key, &["ID"]) {
            Some(id) if kind == REVOKE => revoked(posted, info, key, &id),
            _ => other(posted, body),
        };
    }
    if let Some(reaction) = get(message, "reactionMessage") {
        return match at(reaction, &["key"]).zip(text(reaction, &["key", "ID"])) {
            Some((key, id)) => {
                let text = text(reaction, &["text"]).unwrap_or_default();
                reacted(posted, info, key, &id, &text)
            }
            None => other(posted, body),
        };
    }
    match Content::of(message) {
        Some(content) => {
            let message = created(&info, content, &body);
            let message = compose::Message {
                media: media(body).or(message.media),
                ..message
            };
            let subject = Subject::message(Some(info.chat), info.id.clone(), info.id);
            let (known, data) = (KnownEvent::MessageCreate, message.into_data());
            posted.known(known, subject, info.timestamp, data)
        }
        None => other(posted, body),
    }
}

/// Returns a message without what wuzapi posts about its file. The number of the session is not
/// in the body.
fn created(info: &Info, content: Content<'_, '_>, body: &Node<'_>) -> compose::Message<'static> {
    let (from, to) = if info.from_me {
        (info.sender.clone(), info.chat.clone())
    } else {
        (info.chat.clone(), String::new())
    };
    let author = Some(info.sender.clone()).filter(|_| jid::is_group(&info.chat));
    compose::Message {
        id: info.documented_id(),
        body: content.body(),
        kind: content.kind().to_owned(),
        timestamp: info.timestamp,
        from,
        to,
        from_me: info.from_me,
        is_forwarded: content.is_forwarded(),
        author,
        notify_name: text(body, &["event", "Info", "PushName"]).map(Into::into),
        media: content.has_media().then(|| Media {
            mimetype: content.member("mimetype").and_then(copied),
            filename: content.member("fileName").and_then(copied),
            ..Media::default()
        }),
    }
}

/// Returns a deletion. `fromMe` of the key is as seen by the one who deletes.
fn revoked<'a>(posted: &Posted, info: Info, key: &Node<'_>, id: &str) -> Part<'a> {
    let is_own = info.from_me && is_true(key, &["fromMe"]);
    let data = compose::revoked(jid::message_id(is_own, &info.chat, id), &info.sender);
    let subject = Subject::message(Some(info.chat), id.to_owned(), info.id);
    let known = KnownEvent::MessageRevokeEveryone;
    posted.known(known, subject, info.timestamp, data)
}

/// Returns a reaction. `fromMe` of the key is as seen by the one who reacts: in a direct chat,
/// the message of another one is the session's.
fn reacted<'a>(posted: &Posted, info: Info, key: &Node<'_>, id: &str, text: &str) -> Part<'a> {
    let is_reactors = is_true(key, &["fromMe"]);
    let is_own = if info.from_me {
        is_reactors
    } else {
        !is_reactors && !jid::is_group(&info.chat)
    };
    let target = jid::message_id(is_own, &info.chat, id);
    let reaction = info.documented_id();
    let data = compose::reaction(reaction, target, text, &info.sender, info.timestamp);
    let subject = Subject::message(Some(info.chat), id.to_owned(), info.id);
    let known = KnownEvent::MessageReaction;
    posted.known(known, subject, info.timestamp, data)
}

/// Returns an acknowledgement of each message.
pub(super) fn receipts<'a>(posted: &Posted, body: Node<'a>) -> Vec<Part<'a>> {
    let ids = match at(&body, &["event", "MessageIDs"]) {
        Some(Node::Array(ids)) => ids.as_slice(),
        _ => &[],
    };
    let ids: Vec<String> = ids
        .iter()
        .filter_map(|id| text(id, &[]).map(Into::into))
        .collect();
    let chat = text(&body, &["event", "Chat"]).map(String::from);
    let (Some(level), Some(chat), false) = (level(&body), chat, ids.is_empty()) else {
        return vec![other(posted, body)];
    };
    let sender = text(&body, &["event", "Sender"]).unwrap_or_default();
    // Another device of the session acknowledges messages of the others.
    let from_me = !is_true(&body, &["event", "IsFromMe"]);
    let ack = |id: String| {
        let key = format!("{id}:{level}:{sender}");
        let data = compose::ack(jid::message_id(from_me, &chat, &id), level);
        let subject = Subject::message(Some(chat.clone()), id, key);
        posted.known(KnownEvent::MessageAck, subject, posted.sent, data)
    };
    ids.into_iter().map(ack).collect()
}

/// Returns the level of a receipt: an empty type is a delivery.
fn level(body: &Node<'_>) -> Option<i8> {
    if let Some(kind) = text(body, &["event", "Type"]) {
        return match kind.as_ref() {
            "server-error" => Some(-1),
            "read" | "read-self" => Some(3),
            "played" | "played-self" => Some(4),
            _ => None,
        };
    }
    match text(body, &["state"])?.as_ref() {
        "Delivered" => Some(2),
        "Read" | "ReadSelf" => Some(3),
        _ => None,
    }
}

/// Returns the file as wuzapi posts it beside the message: in base64, as an object of S3, or in
/// the multipart body.
fn media(body: Node<'_>) -> Option<Media<'_>> {
    let Node::Object(mut members) = body else {
        return None;
    };
    let mut s3 = object(members.remove("s3"));
    let mut file = object(members.remove("file"));
    let data = members.remove("base64");
    let url = s3.remove("url");
    let name = members.remove("fileName").or_else(|| s3.remove("fileName"));
    let filename = name.or_else(|| file.remove("name"));
    let kind = members.remove("mimeType").or_else(|| s3.remove("mimeType"));
    let mimetype = kind.or_else(|| file.remove("type"));
    let is_posted = data.is_some() || url.is_some() || filename.is_some();
    is_posted.then_some(Media {
        mimetype,
        filename,
        data,
        url,
    })
}

fn object(node: Option<Node<'_>>) -> Object<'_> {
    match node {
        Some(Node::Object(members)) => members,
        _ => Object::default(),
    }
}

fn copied(node: &Node<'_>) -> Option<Node<'static>> {
    text(node, &[]).map(owned)
}
