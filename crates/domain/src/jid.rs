//! Ids of WhatsApp: contacts, groups and channels.

use std::{borrow::Borrow, fmt, str::FromStr};

/// Server of contacts in the documented form.
const CONTACTS: &str = "c.us";

/// Returns a JID in the documented form: `15550001111:7@s.whatsapp.net` becomes
/// `15550001111@c.us`, and so does a bare number. Groups, channels and `@lid` keep their server.
#[must_use]
pub fn documented(jid: &str) -> String {
    parts(jid).map_or_else(String::new, |(user, server)| [user, "@", server].concat())
}

/// Returns user and server of a JID in the documented form; `None` if it has no user.
pub(crate) fn parts(jid: &str) -> Option<(&str, &str)> {
    let (user, server) = cut(jid, b'@').unwrap_or((jid, CONTACTS));
    let server = match server {
        "s.whatsapp.net" | "" => CONTACTS,
        other => other,
    };
    (!user.is_empty()).then(|| (without_device(user), server))
}

/// Returns the part before the server, without the device: the number of a contact.
#[must_use]
pub fn user(jid: &str) -> &str {
    without_device(jid.split('@').next().unwrap_or(jid))
}

/// Returns true if the chat is a group.
#[must_use]
pub fn is_group(jid: &str) -> bool {
    jid.ends_with("@g.us")
}

/// Parts of a serialized id of a message: `false_CHAT_ID`, or `false_CHAT_ID_PARTICIPANT` in
/// a group.
#[derive(Debug, PartialEq, Eq)]
pub struct Serialized<'t> {
    pub from_me: bool,
    pub chat: &'t str,
    pub id: &'t str,
}

impl<'t> Serialized<'t> {
    /// Splits an id; `None` if it has another form.
    #[must_use]
    pub fn parse(text: &'t str) -> Option<Self> {
        let (from_me, rest) = match text.strip_prefix("true_") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("false_")?),
        };
        let (chat, rest) = cut(rest, b'_')?;
        let id = cut(rest, b'_').map_or(rest, |(id, _)| id);
        let is_complete = chat.bytes().any(|byte| byte == b'@') && !id.is_empty();
        is_complete.then_some(Self { from_me, chat, id })
    }
}

/// Chat in a setting, in the documented form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChatId(String);

/// Text that is not the id of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a JID, such as 15550001111@c.us or 120363000000000001@g.us")]
pub struct InvalidChatId;

impl ChatId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn is_group(&self) -> bool {
        is_group(&self.0)
    }
}

impl Borrow<str> for ChatId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChatId {
    type Err = InvalidChatId;

    /// Parses a JID as any gateway spells it: `15550001111:7@s.whatsapp.net`, too.
    fn from_str(text: &str) -> Result<Self, InvalidChatId> {
        let (user, server) = text.split_once('@').ok_or(InvalidChatId)?;
        let is_user =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        let is_server = |byte: u8| byte.is_ascii_lowercase() || byte == b'.';
        let id = documented(text);
        let is_valid = user.bytes().all(is_user)
            && server.bytes().all(is_server)
            && !server.is_empty()
            && !without_device(user).is_empty();
        is_valid.then_some(Self(id)).ok_or(InvalidChatId)
    }
}

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Removes the device and the agent: `15550001111.0:7` becomes `15550001111`. Ids of groups,
/// with a minus, have neither.
fn without_device(user: &str) -> &str {
    if is_digits(user) {
        return user;
    }
    let user = user.split(':').next().unwrap_or(user);
    match user.split_once('.') {
        Some((number, agent)) if is_digits(number) && is_digits(agent) => number,
        _ => user,
    }
}

/// Splits a text at the first ASCII byte `at`. Ids are so short that the search of `split_once`
/// takes twice as many instructions.
fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    let place = text.bytes().position(|byte| byte == at)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jids_take_the_documented_form() {
        for (jid, expected) in [
            ("15550001111@s.whatsapp.net", "15550001111@c.us"),
            ("15550001111:7@s.whatsapp.net", "15550001111@c.us"),
            ("15550001111.0:7@s.whatsapp.net", "15550001111@c.us"),
            ("15550001111", "15550001111@c.us"),
            ("15550001111@c.us", "15550001111@c.us"),
            ("251556000000001:3@lid", "251556000000001@lid"),
            ("15550001111-1600000001@g.us", "15550001111-1600000001@g.us"),
            ("status@broadcast", "status@broadcast"),
            (
                "120363000000000001@newsletter",
                "120363000000000001@newsletter",
            ),
            ("", ""),
            ("@s.whatsapp.net", ""),
        ] {
            assert_eq!(documented(jid), expected, "{jid}");
        }
        assert_eq!(user("15550001111:7@s.whatsapp.net"), "15550001111");
        assert!(is_group("120363000000000001@g.us") && !is_group("15550001111@c.us"));
    }

    #[test]
    fn serialized_id_is_split_and_any_other_text_refused() {
        let parts = Serialized::parse("true_15550001111@c.us_3EB0AAAA").unwrap();
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

    #[test]
    fn chat_of_a_setting_is_read_in_every_spelling_and_otherwise_refused() {
        for (text, id) in [
            ("15550001111:7@s.whatsapp.net", "15550001111@c.us"),
            ("15550001111@c.us", "15550001111@c.us"),
            ("15550001111-1600000001@g.us", "15550001111-1600000001@g.us"),
            ("251556000000001@lid", "251556000000001@lid"),
            ("status@broadcast", "status@broadcast"),
        ] {
            assert_eq!(text.parse::<ChatId>().unwrap().as_str(), id);
        }
        for text in [
            "",
            "15550001111",
            "+15550001111@c.us",
            "1555 0001@c.us",
            "@c.us",
            ":7@c.us",
            "15550001111@",
            "1@c.us@c.us",
            "*@g.us",
        ] {
            assert_eq!(text.parse::<ChatId>(), Err(InvalidChatId), "{text:?}");
        }
    }
}
