//! Values of whatsapp-web.js, whose form the documented events have: ids are objects with the
//! member `_serialized`.

use wahook_domain::json::{Node, Object, Text};

use crate::{
    jid,
    member::{get, is_true, object, owned, text},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MessageId {
    pub from_me: bool,
    pub chat: String,
    pub id: String,
    /// Whole id, as `false_CHAT_ID`, with the participant in a group.
    pub serialized: String,
}

impl MessageId {
    /// Reads an id: an object, in which `_serialized` may be missing, or a serialized text.
    pub(crate) fn of(node: &Node<'_>) -> Option<Self> {
        let serialized = match node {
            Node::Text(_) => text(node, &[]),
            _ => text(node, &["_serialized"]),
        };
        let parts = serialized.as_deref().and_then(jid::Serialized::parse);
        let from_me = parts.as_ref().map(|parts| parts.from_me);
        let chat = get(node, "remote").and_then(wid);
        let chat = chat.or_else(|| Some(parts.as_ref()?.chat.to_owned()))?;
        let id = text(node, &["id"]).map(Into::into);
        let id: String = id.or_else(|| Some(parts.as_ref()?.id.to_owned()))?;
        let from_me = from_me.unwrap_or_else(|| is_true(node, &["fromMe"]));
        let serialized = serialized.map(Into::into);
        let participant = || get(node, "participant").and_then(wid);
        let serialized = serialized.unwrap_or_else(|| match participant() {
            Some(participant) => format!("{from_me}_{chat}_{id}_{participant}"),
            None => format!("{from_me}_{chat}_{id}"),
        });
        Some(Self {
            from_me,
            chat,
            id,
            serialized,
        })
    }

    /// Returns the id as an object.
    pub(crate) fn to_node(&self) -> Node<'static> {
        object([
            ("fromMe", Node::Bool(self.from_me)),
            ("remote", owned(&*self.chat)),
            ("id", owned(&*self.id)),
            ("_serialized", owned(&*self.serialized)),
        ])
    }
}

/// Reads the id of a chat or contact: a text, or an object, in which `_serialized` may be
/// missing.
pub(crate) fn wid(node: &Node<'_>) -> Option<String> {
    if let Some(wid) = text(node, &[]).or_else(|| text(node, &["_serialized"])) {
        return Some(wid.into());
    }
    let (user, server) = (text(node, &["user"])?, text(node, &["server"])?);
    Some(format!("{user}@{server}"))
}

/// Sets members of an object; those that it has keep their place.
pub(crate) fn with<'a, const N: usize>(
    object: Node<'a>,
    members: [(&'static str, Node<'a>); N],
) -> Node<'a> {
    let known = match object {
        Node::Object(known) => known,
        _ => Object::default(),
    };
    let members = members.map(|(name, value)| (Text::new(name), value));
    Node::Object(known.into_iter().chain(members).collect())
}

#[cfg(test)]
mod tests {
    use wahook_domain::json::parse;

    use super::*;

    #[test]
    fn ids_of_messages_are_read_in_all_forms() {
        let expected = "false_1203@g.us_3EB0_15550001111@c.us";
        for id in [
            r#""false_1203@g.us_3EB0_15550001111@c.us""#,
            r#"{"_serialized":"false_1203@g.us_3EB0_15550001111@c.us"}"#,
            r#"{"fromMe":false,"remote":"1203@g.us","id":"3EB0","participant":"15550001111@c.us"}"#,
            r#"{"fromMe":false,"remote":{"server":"g.us","user":"1203"},"id":"3EB0",
                "participant":{"_serialized":"15550001111@c.us"},"$1":"x"}"#,
        ] {
            let id = MessageId::of(&parse(id.as_bytes()).unwrap()).unwrap();
            assert_eq!(
                (&*id.serialized, &*id.chat, &*id.id),
                (expected, "1203@g.us", "3EB0")
            );
        }
        for other in ["null", "{}", r#""3EB0""#, r#"{"id":"3EB0"}"#] {
            assert_eq!(
                MessageId::of(&parse(other.as_bytes()).unwrap()),
                None,
                "{other}"
            );
        }
    }
}
