//! Ids of WhatsApp Web.

use wahook_domain::json::Node;

use crate::{
    jid::Serialized,
    member::{at, is_true, object, owned, text},
};

/// Returns the id of a contact or chat: a text, or an object of an id, or one with an id.
pub(crate) fn contact(node: &Node<'_>, path: &[&str]) -> Option<String> {
    let node = at(node, path)?;
    let found = text(node, &[])
        .or_else(|| text(node, &["_serialized"]))
        .or_else(|| text(node, &["id", "_serialized"]))
        .or_else(|| text(node, &["id"]));
    if let Some(found) = found {
        return Some(found.into());
    }
    let (user, server) = (text(node, &["user"])?, text(node, &["server"])?);
    Some(format!("{user}@{server}"))
}

#[derive(Debug)]
pub(crate) struct MessageId {
    pub serialized: String,
    pub from_me: bool,
    pub chat: Option<String>,
    /// Sender within a group.
    pub participant: Option<String>,
    id: String,
}

impl MessageId {
    pub(crate) fn of(node: &Node<'_>, path: &[&str]) -> Option<Self> {
        let node = at(node, path)?;
        let serialized = text(node, &[]).or_else(|| text(node, &["_serialized"]))?;
        let parts = Serialized::parse(&serialized);
        let remote = contact(node, &["remote"]);
        let id = text(node, &["id"]);
        let id = id.as_deref().or(parts.as_ref().map(|parts| parts.id));
        Some(Self {
            from_me: parts.as_ref().is_some_and(|parts| parts.from_me)
                || is_true(node, &["fromMe"]),
            chat: remote.or_else(|| parts.as_ref().map(|parts| parts.chat.to_owned())),
            participant: contact(node, &["participant"]),
            id: id.unwrap_or(&serialized).to_owned(),
            serialized: serialized.clone().into_owned(),
        })
    }

    /// Returns the documented id, serialized as the gateway does it.
    pub(crate) fn data(&self) -> Node<'static> {
        object([
            ("fromMe", Node::Bool(self.from_me)),
            ("remote", owned(self.chat.clone().unwrap_or_default())),
            ("id", owned(self.id.clone())),
            ("_serialized", owned(self.serialized.clone())),
        ])
    }
}
