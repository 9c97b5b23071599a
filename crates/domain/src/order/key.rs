//! Key of an event: events with the same key are delivered one after another.

use std::{borrow::Cow, sync::Arc};

use super::chat::chat_of;
use crate::{checked_text::checked_text, jid, json::Node, origin::Origin};

/// Number of buckets into which keys are hashed.
pub const BUCKETS: u8 = 64;

/// Largest length of a key with its origin, in bytes.
const MAX_LENGTH: usize = 512;

/// Largest length of a sender's key.
const MAX_SENT: usize = 256;

/// Value that events share whose order matters, such as their chat. The text starts with its
/// origin, so that a sender's key never equals a chat:
///
/// | text | origin |
/// |---|---|
/// | `k:<value>` | header `X-Webhook-Key` |
/// | `c:<chat>` | data of an event |
/// | `c:<source>/<session>/<chat>` | gateway that posted the event in its own form |
///
/// The default is the key that events without one share; it is never written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OrderKey(Arc<str>);

checked_text!(OrderKey, InvalidOrderKey, "[a-z]:.{1,510}");

/// Text that is not a sender's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} visible ASCII characters, without spaces", MAX_SENT)]
pub struct InvalidSentKey;

impl OrderKey {
    /// Creates the key that a sender gives to an event.
    ///
    /// # Errors
    /// When the value is empty, longer than 256 characters or not visible ASCII.
    pub fn sent(value: &str) -> Result<Self, InvalidSentKey> {
        let is_valid =
            (1..=MAX_SENT).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic());
        is_valid
            .then(|| Self(["k:", value].concat().into()))
            .ok_or(InvalidSentKey)
    }

    /// Returns the key of an event in the documented form: the chat that its data names.
    pub(crate) fn of_data(data: &Node<'_>) -> Option<Self> {
        let Node::Object(data) = data else {
            return None;
        };
        let chat = chat_of(data)?;
        let (user, server) = jid::parts(&chat)?;
        Self::joined(&["c:", user, "@", server])
    }

    /// Returns the key of an event that a gateway posted in its own form: its chat, within
    /// its session. The spellings of a JID are one chat; any other chat is kept as it is.
    #[must_use]
    pub fn of_origin(origin: &Origin) -> Option<Self> {
        let chat = match origin.chat.as_deref()? {
            jid if jid.contains('@') => Cow::Owned(jid::documented(jid)),
            other => Cow::Borrowed(other),
        };
        if chat.is_empty() {
            return None;
        }
        let session = origin.session.as_deref().unwrap_or_default();
        Self::joined(&["c:", origin.source.as_str(), "/", session, "/", &chat])
    }

    /// Returns true if the sender gave the key, by the header.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.0.starts_with("k:")
    }

    /// Returns the bucket, below [`BUCKETS`]. Producers and consumers of all versions must
    /// agree on it.
    #[must_use]
    pub fn bucket(&self) -> u8 {
        if self.0.is_empty() {
            return 0;
        }
        // FNV-1a.
        let hash = self
            .0
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let [low, ..] = (hash ^ (hash >> 32)).to_le_bytes();
        low % BUCKETS
    }

    /// Returns the key of these parts, unless it is too long: no chat has such an id.
    fn joined(parts: &[&str]) -> Option<Self> {
        // A `String` would be a second allocation for each event.
        let (mut text, mut length) = ([0; MAX_LENGTH], 0);
        for part in parts {
            let end = length + part.len();
            text.get_mut(length..end)?.copy_from_slice(part.as_bytes());
            length = end;
        }
        let text = std::str::from_utf8(text.get(..length)?).ok()?;
        Some(Self(text.into()))
    }

    fn check(text: &[u8]) -> bool {
        matches!(text, [b'a'..=b'z', b':', _, ..]) && text.len() <= MAX_LENGTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn of_data(data: &str) -> Option<String> {
        let data = json::parse(data.as_bytes()).unwrap();
        OrderKey::of_data(&data).map(|key| key.to_string())
    }

    fn of_origin(session: Option<&str>, chat: Option<&str>) -> Option<String> {
        let origin = Origin {
            source: crate::SourceName::parse("shop").unwrap(),
            session: session.map(str::to_owned),
            chat: chat.map(str::to_owned),
            message_id: None,
            received: None,
        };
        OrderKey::of_origin(&origin).map(|key| key.to_string())
    }

    #[test]
    fn key_names_its_origin() {
        assert_eq!(OrderKey::sent("order-7").unwrap().as_str(), "k:order-7");
        let data = r#"{"from":"15550001111:7@s.whatsapp.net"}"#;
        assert_eq!(of_data(data).unwrap(), "c:15550001111@c.us");
        let chat = Some("15550001111@c.us");
        assert_eq!(
            of_origin(Some("s1"), chat).unwrap(),
            "c:shop/s1/15550001111@c.us"
        );
        for (chat, expected) in [
            ("15550001111:7@s.whatsapp.net", "c:shop/s1/15550001111@c.us"),
            ("room:7", "c:shop/s1/room:7"),
        ] {
            assert_eq!(of_origin(Some("s1"), Some(chat)).unwrap(), expected);
        }
        assert_eq!(of_origin(None, chat).unwrap(), "c:shop//15550001111@c.us");
    }

    #[test]
    fn event_without_a_chat_has_no_key() {
        for data in ["{}", "[]", r#"{"from":"@c.us"}"#, r#"{"from":7}"#] {
            assert_eq!(of_data(data), None, "{data}");
        }
        assert_eq!(of_origin(Some("s1"), None), None);
        assert_eq!(of_origin(Some("s1"), Some("")), None);
        assert_eq!(of_origin(Some("s1"), Some("@s.whatsapp.net")), None);
    }

    #[test]
    fn overlong_chat_is_no_key() {
        let longest = format!("{}@c.us", "1".repeat(MAX_LENGTH - 7));
        let key = of_data(&format!(r#"{{"from":"{longest}"}}"#)).unwrap();
        assert_eq!(key.len(), MAX_LENGTH);
        assert_eq!(OrderKey::parse(&key).unwrap().as_str(), key);
        assert_eq!(of_data(&format!(r#"{{"from":"1{longest}"}}"#)), None);
        assert_eq!(of_origin(Some("s1"), Some(&longest)), None);
    }

    #[test]
    fn sent_key_is_visible_ascii() {
        for good in ["a", "\"a\"", "k:c:1@c.us", &"x".repeat(256)] {
            let key = OrderKey::sent(good).unwrap();
            assert_eq!(key.as_str().strip_prefix("k:"), Some(good));
            assert_eq!(OrderKey::parse(key.as_str()), Ok(key));
        }
        for bad in ["", "a b", "ä", "a\n", "a\u{7f}", &"x".repeat(257)] {
            assert_eq!(OrderKey::sent(bad), Err(InvalidSentKey), "{bad:?}");
        }
    }

    #[test]
    fn stored_key_has_an_origin_and_a_value() {
        for bad in ["", "k", "k:", "K:a", "1:a", "ka", &"k:".repeat(257)] {
            assert_eq!(OrderKey::parse(bad), Err(InvalidOrderKey), "{bad:?}");
        }
        // Of a later version.
        assert!(OrderKey::parse("s:shop/s1").is_ok());
    }

    #[test]
    fn bucket_of_a_key_never_changes() {
        for (key, bucket) in [
            ("k:order-7", 36),
            ("c:15550001111@c.us", 51),
            ("c:120363000000000001@g.us", 27),
            ("c:shop/s1/15550001111@c.us", 4),
        ] {
            assert_eq!(OrderKey::parse(key).unwrap().bucket(), bucket, "{key}");
        }
        assert_eq!(OrderKey::default().bucket(), 0);
    }

    #[test]
    fn chats_spread_evenly_over_the_buckets() {
        let mut counts = [0_u32; BUCKETS as usize];
        for number in 0..6_400_u64 {
            let key = format!("c:{}@c.us", 15_550_000_000 + number);
            let key = OrderKey::parse(&key).unwrap();
            counts[usize::from(key.bucket())] += 1;
        }
        assert!(counts.iter().all(|n| (50..200).contains(n)), "{counts:?}");
    }
}
