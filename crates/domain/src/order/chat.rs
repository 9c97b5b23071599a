//! Chat of an event in the documented form.

use std::borrow::Cow;

use crate::{
    jid,
    json::{Node, Object},
};

/// Returns the chat that the data of an event names, in the documented form of its id; `None`
/// if the event belongs to a session. Data of other events is read by the same members.
///
/// | data | chat |
/// |---|---|
/// | `chatId` | itself (groups) |
/// | `msgId._serialized` | its chat part: the message that a reaction is for |
/// | `id._serialized` | its chat part (messages), or itself (contacts) |
/// | `fromMe`, `from`, `to` | `to` of own messages, else `from` |
/// | `from` | itself (calls) |
#[must_use]
pub fn chat_of(data: &Object<'_>) -> Option<String> {
    text(data.get("chatId"))
        .or_else(|| id_chat(data.get("msgId")))
        .or_else(|| id_chat(data.get("id")))
        .or_else(|| text(data.get(partner(data))))
        .map(|chat| jid::documented(&chat))
        .filter(|chat| !chat.is_empty())
}

/// Returns the member that names the other side of a message.
fn partner(data: &Object<'_>) -> &'static str {
    match data.get("fromMe") {
        Some(Node::Bool(true)) => "to",
        _ => "from",
    }
}

/// Returns the chat of an id: `false_CHAT_ID`, or the id of a contact.
fn id_chat<'a>(id: Option<&'a Node<'a>>) -> Option<Cow<'a, str>> {
    let Some(Node::Object(id)) = id else {
        return None;
    };
    let serialized = text(id.get("_serialized"))?;
    let chat = match serialized.split('_').collect::<Vec<_>>().as_slice() {
        ["true" | "false", chat, _, ..] => (*chat).to_owned(),
        [contact] => (*contact).to_owned(),
        _ => return None,
    };
    chat.contains('@').then_some(Cow::Owned(chat))
}

fn text<'a>(node: Option<&'a Node<'a>>) -> Option<Cow<'a, str>> {
    match node {
        Some(Node::Text(text)) => Some(text.to_str().0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{documented::samples, json};

    fn chat(data: &str) -> Option<String> {
        let Ok(Node::Object(data)) = json::parse(data.as_bytes()) else {
            panic!("{data}")
        };
        chat_of(&data)
    }

    #[test]
    fn every_documented_event_about_a_chat_names_it() {
        let chats: Vec<_> = samples()
            .map(|sample| {
                let Ok(Node::Object(event)) = json::parse(sample.as_bytes()) else {
                    panic!("{sample}")
                };
                match event.get("data") {
                    Some(Node::Object(data)) => chat_of(data).unwrap_or_default(),
                    _ => panic!("{sample}"),
                }
            })
            .collect();
        let (contact, group) = ("12025550142@c.us", "12025550111-1600000001@g.us");
        let messages = [contact; 4];
        let groups = [group; 3];
        let session = [""; 4];
        let others = [contact; 2];
        assert_eq!(chats, [&messages[..], &groups, &session, &others].concat());
    }

    #[test]
    fn own_messages_belong_to_the_chat_of_their_receiver() {
        for (data, expected) in [
            (r#"{"fromMe":true,"from":"1@c.us","to":"2@c.us"}"#, Some("2@c.us")),
            (r#"{"fromMe":false,"from":"1@c.us","to":"2@c.us"}"#, Some("1@c.us")),
            (r#"{"from":"1:7@s.whatsapp.net"}"#, Some("1@c.us")),
            (r#"{"id":{"_serialized":"true_1203@g.us_3EB0_1@c.us"}}"#, Some("1203@g.us")),
            (r#"{"id":{"_serialized":"3EB0"},"from":"1@c.us"}"#, Some("1@c.us")),
            (r#"{"id":"true_1@c.us_3EB0"}"#, None),
            (r#"{"chatId":""}"#, None),
            (r#"{"chatId":null,"session":"a"}"#, None),
        ] {
            assert_eq!(chat(data).as_deref(), expected, "{data}");
        }
    }
}
