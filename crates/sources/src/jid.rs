//! Ids of messages.

pub(crate) use wahook_domain::jid::{documented, is_group, user};
use wahook_domain::json::Node;

use crate::member::{object, owned};

/// Returns the serialized id of a message: `true_15550001111@c.us_3EB0AAAA`.
pub(crate) fn serialized(from_me: bool, chat: &str, id: &str) -> String {
    format!("{from_me}_{}_{id}", documented(chat))
}

/// Returns a message's id in the documented form.
pub(crate) fn message_id(from_me: bool, chat: &str, id: &str) -> Node<'static> {
    object([
        ("fromMe", Node::Bool(from_me)),
        ("remote", owned(documented(chat))),
        ("id", owned(id)),
        ("_serialized", owned(serialized(from_me, chat, id))),
    ])
}

/// Parts of a serialized id of a message: `false_CHAT_ID`, or `false_CHAT_ID_PARTICIPANT` in
/// a group.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Serialized<'t> {
    pub from_me: bool,
    pub chat: &'t str,
    pub id: &'t str,
}

impl<'t> Serialized<'t> {
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        let mut parts = text.splitn(4, '_');
        let from_me = match parts.next()? {
            "true" => true,
            "false" => false,
            _ => return None,
        };
        let chat = parts.next().filter(|chat| chat.contains('@'))?;
        let id = parts.next().filter(|id| !id.is_empty())?;
        Some(Self { from_me, chat, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serialized_id_is_read_back() {
        let id = serialized(true, "15550001111@s.whatsapp.net", "3EB0AAAA");
        assert_eq!(id, "true_15550001111@c.us_3EB0AAAA");
        let parts = Serialized::parse(&id).unwrap();
        assert_eq!((parts.from_me, parts.chat), (true, "15550001111@c.us"));
        assert_eq!(parts.id, "3EB0AAAA");
        let of_group = Serialized::parse("false_1203@g.us_3EB0_15550001111@c.us").unwrap();
        assert_eq!((of_group.chat, of_group.id), ("1203@g.us", "3EB0"));
        for other in [
            "",
            "3EB0AAAA",
            "true_3EB0AAAA",
            "maybe_1@c.us_A",
            "true_1@c.us_",
        ] {
            assert_eq!(Serialized::parse(other), None, "{other}");
        }
    }
}
