//! Chat and message of an event in the documented form.

use std::borrow::Cow;

use crate::{
    jid::Serialized,
    json::{Node, Object},
};

/// Returns the chat that the data of an event names, as the gateway spells it; `None` if the
/// event belongs to a session. Data of undocumented events is read by the same members.
///
/// | data | chat |
/// |---|---|
/// | `chatId` | itself (groups) |
/// | `msgId._serialized` | its chat part: the message that a reaction is for |
/// | `id._serialized` | its chat part (messages), or itself (contacts) |
/// | `fromMe`, `from`, `to` | `to` of own messages, else `from` |
/// | `from` | itself (calls) |
pub(super) fn chat_of<'a>(data: &'a Object<'_>) -> Option<Cow<'a, str>> {
    Members::of(data).chat()
}

/// Members that name a chat, found in one pass: ten look-ups would cost the producer 2 % of its
/// instructions for an event.
#[derive(Default)]
struct Members<'a, 'n> {
    chat_id: Option<&'a Node<'n>>,
    msg_id: Option<&'a Node<'n>>,
    id: Option<&'a Node<'n>>,
    from_me: Option<&'a Node<'n>>,
    from: Option<&'a Node<'n>>,
    to: Option<&'a Node<'n>>,
}

impl<'a, 'n> Members<'a, 'n> {
    fn of(data: &'a Object<'n>) -> Self {
        let mut members = Self::default();
        for (name, value) in data.iter() {
            // These names have no character to escape.
            let member = match name.form() {
                "chatId" => &mut members.chat_id,
                "msgId" => &mut members.msg_id,
                "id" => &mut members.id,
                "fromMe" => &mut members.from_me,
                "from" => &mut members.from,
                "to" => &mut members.to,
                _ => continue,
            };
            *member = Some(value);
        }
        members
    }

    fn chat(&self) -> Option<Cow<'a, str>> {
        text(self.chat_id)
            .or_else(|| id_chat(self.msg_id?))
            .or_else(|| id_chat(self.id?))
            .or_else(|| text(self.partner()))
    }

    /// Returns the other side of a message.
    fn partner(&self) -> Option<&'a Node<'n>> {
        match self.from_me {
            Some(Node::Bool(true)) => self.to,
            _ => self.from,
        }
    }
}

/// Chat and message that the data of an event names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named<'a> {
    /// As the gateway spells it.
    pub chat: Option<Cow<'a, str>>,
    /// Serialized id: of the message that a reaction is for, not of the reaction.
    pub message: Option<Cow<'a, str>>,
}

impl<'a> Named<'a> {
    /// Returns the same chat as [`chat_of`], and the message.
    #[must_use]
    pub fn by(data: &'a Object<'_>) -> Self {
        let members = Members::of(data);
        let id = members.msg_id.and_then(serialized);
        let id = id.or_else(|| serialized(members.id?));
        let message = id.filter(|id| Serialized::parse(id).is_some());
        let chat = match &message {
            Some(id) => text(members.chat_id).or_else(|| chat_in(id)),
            None => members.chat(),
        };
        Self { chat, message }
    }
}

/// Returns the chat of an object with the id of a message or a contact.
fn id_chat<'a>(id: &'a Node<'_>) -> Option<Cow<'a, str>> {
    chat_in(&serialized(id)?)
}

fn serialized<'a>(id: &'a Node<'_>) -> Option<Cow<'a, str>> {
    match id {
        Node::Object(id) => text(id.by_form("_serialized")),
        _ => None,
    }
}

fn chat_in<'a>(id: &Cow<'a, str>) -> Option<Cow<'a, str>> {
    match id {
        Cow::Borrowed(id) => chat_part(id).map(Cow::Borrowed),
        Cow::Owned(id) => chat_part(id).map(|chat| Cow::Owned(chat.to_owned())),
    }
}

fn chat_part(id: &str) -> Option<&str> {
    match Serialized::parse(id) {
        Some(message) => Some(message.chat),
        None => (id.contains('@') && !id.contains('_')).then_some(id),
    }
}

/// Returns a text that is not empty.
fn text<'a>(node: Option<&'a Node<'_>>) -> Option<Cow<'a, str>> {
    match node {
        Some(Node::Text(text)) => Some(text.to_str().0).filter(|text| !text.is_empty()),
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
        chat_of(&data).map(Cow::into_owned)
    }

    #[test]
    fn every_documented_event_about_a_chat_names_it() {
        let chats: Vec<_> = samples()
            .map(|sample| {
                let Ok(Node::Object(event)) = json::parse(sample.as_bytes()) else {
                    panic!("{sample}")
                };
                match event.get("data") {
                    Some(Node::Object(data)) => {
                        chat_of(data).map(Cow::into_owned).unwrap_or_default()
                    }
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
    fn chat_is_read_from_the_first_member_that_names_one() {
        for (data, expected) in [
            (
                r#"{"fromMe":true,"from":"1@c.us","to":"2@c.us"}"#,
                Some("2@c.us"),
            ),
            (
                r#"{"fromMe":false,"from":"1@c.us","to":"2@c.us"}"#,
                Some("1@c.us"),
            ),
            (
                r#"{"from":"1:7@s.whatsapp.net"}"#,
                Some("1:7@s.whatsapp.net"),
            ),
            (
                r#"{"id":{"_serialized":"true_1203@g.us_3EB0_1@c.us"}}"#,
                Some("1203@g.us"),
            ),
            (
                r#"{"id":{"_serialized":"true_1\u0000@c.us_3EB0"}}"#,
                Some("1\0@c.us"),
            ),
            (
                r#"{"id":{"_serialized":"3EB0"},"from":"1@c.us"}"#,
                Some("1@c.us"),
            ),
            (
                r#"{"id":{"_serialized":"true_3EB0@c.us"},"from":"1@c.us"}"#,
                Some("1@c.us"),
            ),
            (r#"{"chatId":"","from":"1@c.us"}"#, Some("1@c.us")),
            (r#"{"id":"true_1@c.us_3EB0"}"#, None),
            (r#"{"chatId":""}"#, None),
            (r#"{"chatId":null,"session":"a"}"#, None),
        ] {
            assert_eq!(chat(data).as_deref(), expected, "{data}");
        }
    }

    #[test]
    fn chat_is_the_same_next_to_the_message_that_is_named() {
        for (data, message) in [
            (
                r#"{"id":{"_serialized":"true_1@c.us_A"}}"#,
                Some("true_1@c.us_A"),
            ),
            (
                r#"{"chatId":"2@g.us","id":{"_serialized":"true_1@c.us_A"}}"#,
                Some("true_1@c.us_A"),
            ),
            (
                r#"{"msgId":{"_serialized":"true_1@c.us_\u0041"},"id":{"_serialized":"true_2@c.us_B"}}"#,
                Some("true_1@c.us_A"),
            ),
            (r#"{"id":{"_serialized":"1@c.us"}}"#, None),
            (r#"{"id":"A","from":"1@c.us"}"#, None),
            ("{}", None),
        ] {
            let Ok(Node::Object(data)) = json::parse(data.as_bytes()) else {
                panic!("{data}")
            };
            let named = Named::by(&data);
            assert_eq!(named.chat, chat_of(&data));
            assert_eq!(named.message.as_deref(), message);
        }
    }
}
