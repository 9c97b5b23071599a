//! Events in the documented form, as for `/v1/events`.

use wahook_domain::{KnownEvent, json::Node};

use crate::{
    Adapted, Identity, Key, Refusal, Request,
    member::{as_object, at, get, number, text},
    moment::moment,
    name::normalise,
    webjs::{MessageId, wid},
};

/// Members that name the session, in order of preference.
const SESSIONS: [&[&str]; 4] = [
    &["session"],
    &["sessionId"],
    &["source", "session"],
    &["data", "session"],
];

pub(crate) fn adapt<'a>(_: &Request<'_>, payload: Node<'a>) -> Result<Adapted<'a>, Refusal> {
    let name = text(&payload, &["event"]).and_then(|name| normalise(&name));
    let name = name.ok_or_else(|| {
        Refusal::NotAnEvent("the member event is missing: it names the event".to_owned())
    })?;
    let timestamp = moment(&payload, &["timestamp"]);
    let session = SESSIONS.into_iter().find_map(|path| text(&payload, path));
    let session = session.map(Into::into);
    // An event with a time is not equal to another one.
    let key = timestamp.map_or(Key::None, |_| Key::Content);
    let data = match payload {
        Node::Object(mut members) => members.remove("data"),
        _ => None,
    };
    let data = as_object(data.unwrap_or_else(|| Node::Object(Default::default())));
    let subject = name.known().map(|event| Subject::of(event, &data));
    let subject = subject.unwrap_or_else(|| Subject::of_other(&data));
    let identity = Identity {
        name,
        session,
        chat: subject.chat,
        message_id: subject.message_id,
        key: subject.key.map_or(key, Key::Text),
    };
    Ok(Adapted::single(identity, timestamp, data))
}

/// What documented data is about.
#[derive(Default)]
struct Subject {
    chat: Option<String>,
    message_id: Option<String>,
    key: Option<String>,
}

impl Subject {
    fn of(event: KnownEvent, data: &Node<'_>) -> Self {
        let message = || get(data, "id").and_then(MessageId::of);
        match event {
            KnownEvent::MessageCreate => Self {
                chat: peer(data),
                ..Self::message(message(), "")
            },
            KnownEvent::MessageAck => {
                let level = number(data, &["ack"]).map_or(String::new(), |ack| format!(" {ack}"));
                Self::message(message(), &level)
            }
            KnownEvent::MessageRevokeEveryone => Self::message(message(), ""),
            KnownEvent::MessageReaction => Self::reaction(data),
            KnownEvent::Call => Self {
                chat: get(data, "from").and_then(wid),
                key: text(data, &["id"]).map(Into::into),
                ..Self::default()
            },
            KnownEvent::ContactChanged => Self {
                chat: get(data, "id").and_then(wid),
                ..Self::default()
            },
            _ => Self::of_other(data),
        }
    }

    fn of_other(data: &Node<'_>) -> Self {
        let id = get(data, "id").and_then(MessageId::of);
        let chat = get(data, "chatId").and_then(wid);
        Self {
            chat: chat.or_else(|| Some(id.as_ref()?.chat.clone())),
            message_id: id.map(|id| id.serialized),
            key: None,
        }
    }

    fn message(id: Option<MessageId>, level: &str) -> Self {
        let Some(id) = id else {
            return Self::default();
        };
        Self {
            key: Some(format!("{}{level}", id.serialized)),
            chat: Some(id.chat),
            message_id: Some(id.serialized),
        }
    }

    fn reaction(data: &Node<'_>) -> Self {
        let message = get(data, "msgId").and_then(MessageId::of);
        let id = text(data, &["id", "_serialized"]);
        let emoji = text(data, &["reaction"]).unwrap_or_default();
        let time = number(data, &["timestamp"]).unwrap_or_default();
        Self {
            key: id.map(|id| format!("{id} {emoji} {time}")),
            chat: message.as_ref().map(|id| id.chat.clone()),
            message_id: message.map(|id| id.serialized),
        }
    }
}

/// Returns the chat of a message.
fn peer(data: &Node<'_>) -> Option<String> {
    let peer = match at(data, &["fromMe"]) {
        Some(Node::Bool(true)) => "to",
        _ => "from",
    };
    let peer = get(data, peer)
        .and_then(wid)
        .filter(|peer| !peer.is_empty());
    peer.or_else(|| Some(MessageId::of(get(data, "id")?)?.chat))
}
