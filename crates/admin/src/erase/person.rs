//! Person whose data is erased (pure).

use std::str::FromStr;

use wahook_delivery_log::{Chats, Devices};
use wahook_domain::{ChatId, QueuedEvent, jid, json::Node, order::Named};

/// Digits of a phone number with country code.
const DIGITS: std::ops::RangeInclusive<usize> = 5..=15;

/// Digits from which on a number without a server is a contact. Shorter ones may be ids of other
/// persons in events of generic sources.
const BARE_DIGITS: usize = 8;

/// Servers of contacts.
const CONTACTS: [&str; 2] = ["c.us", "s.whatsapp.net"];

/// Person, with the chats in all spellings that log and dead letters may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    chats: Chats,
    subject: &'static str,
}

/// Phone number with country code: digits only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneNumber(String);

/// Text that is no phone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a phone number with country code, such as +1 555 000 1111")]
pub struct InvalidNumber;

impl FromStr for PhoneNumber {
    type Err = InvalidNumber;

    /// Parses a number; spaces, minus signs, dots, brackets and a plus at the start are
    /// removed.
    fn from_str(text: &str) -> Result<Self, InvalidNumber> {
        let text = text.trim();
        let text = text.strip_prefix('+').unwrap_or(text);
        let digits: String = text.chars().filter(|c| !" -.()".contains(*c)).collect();
        let is_number =
            DIGITS.contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(Self(digits)).ok_or(InvalidNumber)
    }
}

impl Person {
    /// Returns the person or group of a chat.
    #[must_use]
    pub fn of_chat(chat: &ChatId) -> Self {
        let chats = match chat.as_str().split_once('@') {
            Some((number, "c.us")) => of_contact(number),
            Some((user, server)) => of_user(user, &[server]),
            None => Chats::default(),
        };
        let subject = "a chat";
        Self { chats, subject }
    }

    /// Returns the person with a phone number.
    #[must_use]
    pub fn of_number(number: &PhoneNumber) -> Self {
        let (chats, subject) = (of_contact(&number.0), "a phone number");
        Self { chats, subject }
    }

    #[must_use]
    pub fn chats(&self) -> &Chats {
        &self.chats
    }

    /// Returns the text for the record of the action, which does not name the person.
    #[must_use]
    pub fn subject(&self) -> &'static str {
        self.subject
    }

    /// Returns true if the event is of a chat of the person.
    #[must_use]
    pub fn has(&self, event: &QueuedEvent) -> bool {
        match &event.origin {
            Some(origin) => origin
                .chat
                .as_deref()
                .is_some_and(|chat| self.chats.has(chat)),
            None => self.is_in_data(&event.body.parse()),
        }
    }

    /// Returns true if the data of an event in the documented form names a chat.
    fn is_in_data(&self, body: &Node<'_>) -> bool {
        let Node::Object(members) = body else {
            return false;
        };
        let Some(Node::Object(data)) = members.get("data") else {
            return false;
        };
        let chat = Named::by(data).chat;
        chat.is_some_and(|chat| chat.contains('@') && self.chats.has(&jid::documented(&chat)))
    }
}

/// Returns the chats of a contact as the documented form and gateways spell them.
fn of_contact(number: &str) -> Chats {
    let mut chats = of_user(number, &CONTACTS);
    if number.len() >= BARE_DIGITS {
        chats.ids.extend([number.to_owned(), format!("+{number}")]);
    }
    chats
}

fn of_user(user: &str, servers: &[&str]) -> Chats {
    let ids = servers.iter().map(|server| format!("{user}@{server}"));
    let devices = servers.iter().map(|server| Devices {
        user: user.to_owned(),
        server: (*server).to_owned(),
    });
    Chats {
        ids: ids.collect(),
        devices: devices.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_domain::{EventBody, EventId, EventName, Origin, SourceName, UnixMillis};

    fn event(data: &str) -> QueuedEvent {
        let body = format!(r#"{{"event":"message","data":{data},"timestamp":"now"}}"#);
        QueuedEvent::new(
            EventId::parse("e1").unwrap(),
            EventName::parse("message").unwrap(),
            EventBody::check(body.into()).unwrap(),
            UnixMillis::new(0),
        )
    }

    #[test]
    fn number_is_read_in_every_spelling() {
        for text in ["15550001111", "+1 555 000-1111", " +1 (555) 000.1111 "] {
            let number: PhoneNumber = text.parse().unwrap();
            assert_eq!(number.0, "15550001111", "{text}");
        }
        for text in [
            "",
            "1234",
            "1555000111a",
            "15550001111@c.us",
            "1234567890123456",
        ] {
            assert_eq!(text.parse::<PhoneNumber>(), Err(InvalidNumber), "{text}");
        }
    }

    #[test]
    fn person_has_the_events_of_the_chat_and_no_others() {
        let number: PhoneNumber = "15550001111".parse().unwrap();
        let chat: ChatId = "15550001111:7@s.whatsapp.net".parse().unwrap();
        let group: ChatId = "1203@g.us".parse().unwrap();
        let (number, chat, group) = (
            Person::of_number(&number),
            Person::of_chat(&chat),
            Person::of_chat(&group),
        );
        assert_eq!(number.chats(), chat.chats());
        let own = event(r#"{"from":"15550001111@s.whatsapp.net"}"#);
        assert!(number.has(&own) && chat.has(&own) && !group.has(&own));
        let in_group = event(r#"{"chatId":"1203@g.us","from":"15550001111@c.us"}"#);
        assert!(group.has(&in_group) && !number.has(&in_group));
        for other in [
            r#"{"from":"155500011112@c.us"}"#,
            r#"{"from":"15550001111"}"#,
            "{}",
        ] {
            assert!(!number.has(&event(other)), "{other}");
        }
    }

    #[test]
    fn chat_of_a_source_is_the_persons_in_every_spelling() {
        let has = |number: &str, chat: &str| {
            let number: PhoneNumber = number.parse().unwrap();
            let origin = Origin {
                source: SourceName::parse("shop").unwrap(),
                session: None,
                chat: Some(chat.to_owned()),
                message_id: None,
                received: None,
            };
            Person::of_number(&number).has(&QueuedEvent {
                origin: Some(origin.into()),
                ..event("{}")
            })
        };
        for chat in [
            "15550001111",
            "+15550001111",
            "15550001111@c.us",
            "15550001111:7@s.whatsapp.net",
            "15550001111.0:7@s.whatsapp.net",
        ] {
            assert!(has("15550001111", chat), "{chat}");
        }
        for chat in ["155500011112:7@c.us", "15550001111@g.us", "5550001111"] {
            assert!(!has("15550001111", chat), "{chat}");
        }
        assert!(has("12345", "12345@c.us") && !has("12345", "12345"));
    }

    #[test]
    fn event_with_its_exact_body_is_found_by_its_chat() {
        let number: PhoneNumber = "15550001111".parse().unwrap();
        let exact = r#"{"timestamp":1, "data":{"from":"2@c.us"}}"#;
        let event = QueuedEvent {
            exact: Some(EventBody::as_received(exact.into())),
            ..event(r#"{"from":"15550001111@c.us"}"#)
        };
        assert!(Person::of_number(&number).has(&event));
    }
}
