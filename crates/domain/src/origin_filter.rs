//! Origin filter: the sources, sessions and chats whose events an endpoint gets.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{
    jid::{self, ChatId},
    origin::{Origin, SourceName},
};

/// Filter by the origin of an event. The default lets every event pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OriginFilter {
    /// Wanted sources; empty: all, and events without an origin.
    pub sources: BTreeSet<SourceName>,
    /// Wanted sessions; empty: all, and events without an origin.
    pub sessions: BTreeSet<SessionPattern>,
    /// Drops events of groups.
    pub without_groups: bool,
    /// Wanted chats; empty: all.
    pub chats: BTreeSet<ChatId>,
    /// Unwanted chats.
    pub not_chats: BTreeSet<ChatId>,
}

impl OriginFilter {
    /// Returns true if the endpoint gets an event of this origin. An event without a chat
    /// passes the filters of chats, such as a session that connects.
    #[must_use]
    pub fn wants(&self, origin: Option<&Origin>) -> bool {
        match origin {
            Some(origin) => self.wants_sender(origin) && self.wants_chat(origin.chat.as_deref()),
            None => self.sources.is_empty() && self.sessions.is_empty(),
        }
    }

    fn wants_sender(&self, origin: &Origin) -> bool {
        let session = origin.session.as_deref().unwrap_or_default();
        let takes = |pattern: &SessionPattern| pattern.takes(session);
        (self.sources.is_empty() || self.sources.contains(&origin.source))
            && (self.sessions.is_empty() || self.sessions.iter().any(takes))
    }

    fn wants_chat(&self, chat: Option<&str>) -> bool {
        let chat = jid::documented(chat.unwrap_or_default());
        if chat.is_empty() {
            return true;
        }
        !(self.without_groups && jid::is_group(&chat))
            && (self.chats.is_empty() || self.chats.contains(chat.as_str()))
            && !self.not_chats.contains(chat.as_str())
    }
}

/// Pattern for the names of sessions: one name, a prefix, or all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionPattern {
    Exactly(String),
    /// `shop-*`: every session whose name has this prefix, which is stored without the star.
    /// That of `*` is empty, and also takes events without a session.
    StartingWith(String),
}

/// Text that is not a pattern for sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of a session, a pattern such as shop-*, or *")]
pub struct InvalidSessionPattern;

impl SessionPattern {
    /// Returns true if the pattern matches the session.
    #[must_use]
    pub fn takes(&self, session: &str) -> bool {
        match self {
            Self::Exactly(name) => session == name,
            Self::StartingWith(start) => session.starts_with(start),
        }
    }
}

impl FromStr for SessionPattern {
    type Err = InvalidSessionPattern;

    fn from_str(text: &str) -> Result<Self, InvalidSessionPattern> {
        let (name, pattern) = match text.strip_suffix('*') {
            Some(start) => (start, Self::StartingWith(start.to_owned())),
            None => (text, Self::Exactly(text.to_owned())),
        };
        let is_valid = !text.is_empty() && !name.contains('*');
        is_valid.then_some(pattern).ok_or(InvalidSessionPattern)
    }
}

impl fmt::Display for SessionPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => f.write_str(name),
            Self::StartingWith(start) => write!(f, "{start}*"),
        }
    }
}

#[cfg(test)]
mod tests;
