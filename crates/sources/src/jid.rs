//! Ids of messages.

pub(crate) use wahook_domain::jid::{Serialized, documented, is_group, user};
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
    }
}
