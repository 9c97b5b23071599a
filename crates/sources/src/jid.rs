//! Ids of WhatsApp: contacts, groups and messages.

use wahook_domain::json::Node;

use crate::member::{object, owned};

/// Server of contacts in the documented form.
const CONTACTS: &str = "c.us";

/// Returns a JID in the documented form: `15550001111:7@s.whatsapp.net` becomes
/// `15550001111@c.us`, and so does a bare number. Groups, channels and `@lid` keep their server.
pub(crate) fn documented(jid: &str) -> String {
    let (user, server) = jid.split_once('@').unwrap_or((jid, CONTACTS));
    let server = match server {
        "s.whatsapp.net" | "" => CONTACTS,
        other => other,
    };
    if user.is_empty() {
        return String::new();
    }
    format!("{}@{server}", without_device(user))
}

/// Returns the part before the server, without the device: the number of a contact.
pub(crate) fn user(jid: &str) -> &str {
    without_device(jid.split('@').next().unwrap_or(jid))
}

/// Returns whether the chat is a group.
pub(crate) fn is_group(jid: &str) -> bool {
    jid.ends_with("@g.us")
}

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

/// Removes the device and the agent: `15550001111.0:7` becomes `15550001111`. Ids of groups,
/// with a minus, have neither.
fn without_device(user: &str) -> &str {
    let user = user.split(':').next().unwrap_or(user);
    match user.split_once('.') {
        Some((number, agent)) if is_digits(number) && is_digits(agent) => number,
        _ => user,
    }
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
