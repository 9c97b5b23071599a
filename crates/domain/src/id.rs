//! Event ids, which identify an event in `webhook-id`, in the log and in the queue.

use sha1::{Digest, Sha1};
use sha2::Sha256;
use std::sync::Arc;
use uuid::{Builder, Uuid};

use crate::{body::EventBody, checked_text::checked_text};

/// Namespace of the ids that are derived from bodies (a random UUID v4).
const BODIES: Uuid = Uuid::from_u128(0x5f2d_8a6e_91c4_4b07_a3d8_7e60_f1b9_2c35);

/// Namespace of the ids that are derived from what a gateway's event is about (a random UUID
/// v4).
const PARTS: Uuid = Uuid::from_u128(0x0d7c_4d0b_4f3e_4a55_8b6b_2f0a_94e1_63d7);

/// Largest length of an idempotency key.
const MAX_KEY: usize = 255;

/// Event id: 1 to 128 characters of `A-Z a-z 0-9 _ -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Arc<str>);

checked_text!(EventId, InvalidEventId, "[A-Za-z0-9_-]{1,128}");

impl EventId {
    /// Derives the id from the body (a UUID v5), so a gateway that repeats an
    /// event repeats its id.
    ///
    /// The crate `uuid` computes the same id, but without the processor's SHA-1
    /// instructions; they save a tenth of the producer's computation per event.
    #[must_use]
    pub fn for_body(body: &EventBody) -> Self {
        ContentHash::of(body).into()
    }

    /// Returns the id for a gateway's idempotency key: the key itself if it is a valid
    /// id, else `key_` and half of its SHA-256, since ids are parts of headers, file
    /// names and queries. A key in quotes, as a structured header writes it, equals the
    /// key without them.
    ///
    /// # Errors
    /// When the key is empty, longer than 255 characters or not visible ASCII.
    pub fn for_key(key: &str) -> Result<Self, InvalidKey> {
        let quoted = key
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let key = quoted.unwrap_or(key);
        if !(1..=MAX_KEY).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(InvalidKey);
        }
        Ok(Self::parse(key).unwrap_or_else(|InvalidEventId| {
            let hash: [u8; 32] = Sha256::digest(key).into();
            let [half @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = hash;
            let half = u128::from_be_bytes(half);
            Self(format!("key_{half:032x}").into())
        }))
    }

    /// Returns true if the id is, most likely, a hash of the body (a UUID v5), and not chosen
    /// by the sender or by chance.
    #[must_use]
    pub fn is_hash(&self) -> bool {
        Uuid::parse_str(self.as_str()).is_ok_and(|uuid| uuid.get_version_num() == 5)
    }

    fn check(text: &[u8]) -> bool {
        let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        (1..=128).contains(&text.len()) && text.iter().all(allowed)
    }
}

/// Hash of an event's content, to recognise a repeat of an event and to tell it from
/// another event with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash([u8; 16]);

impl ContentHash {
    pub(crate) fn of(body: &EventBody) -> Self {
        Self::half(Sha1::new_with_prefix(BODIES).chain_update(body.as_bytes()))
    }

    /// Returns the hash of what identifies an event that a gateway posts in its own form.
    #[must_use]
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        let mut hash = Sha1::new_with_prefix(PARTS);
        for part in parts {
            // With its length, so that no two lists of parts have the same bytes.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self::half(hash)
    }

    fn half(hash: Sha1) -> Self {
        let hash: [u8; 20] = hash.finalize().into();
        let [half @ .., _, _, _, _] = hash;
        Self(half)
    }
}

impl From<ContentHash> for EventId {
    fn from(hash: ContentHash) -> Self {
        Self::from(Builder::from_sha1_bytes(hash.0).into_uuid())
    }
}

/// Text that is not an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {} visible ASCII characters, without spaces", MAX_KEY)]
pub struct InvalidKey;

impl From<Uuid> for EventId {
    fn from(uuid: Uuid) -> Self {
        let mut buffer = Uuid::encode_buffer();
        let text: &str = uuid.hyphenated().encode_lower(&mut buffer);
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn id_of_a_body_is_a_standard_uuid_v5() {
        let body = br#"{"event":"ready","data":{},"timestamp":"2026-01-01T00:00:00.000Z"}"#;
        let body = EventBody::check(Bytes::from_static(body)).unwrap();
        // Python: uuid.uuid5(uuid.UUID(int=BODIES), body)
        assert_eq!(
            EventId::for_body(&body).as_str(),
            "4344d753-4907-532d-b924-96c0ca00c20a"
        );
    }

    #[test]
    fn parts_are_distinct_from_other_divisions_of_the_same_bytes() {
        let lists: [&[&[u8]]; 5] = [&[b"ab", b""], &[b"a", b"b"], &[b"", b"ab"], &[b"ab"], &[]];
        let hashes: std::collections::HashSet<_> =
            lists.into_iter().map(ContentHash::of_parts).collect();
        assert_eq!(hashes.len(), lists.len());
    }

    #[test]
    fn key_that_is_an_id_is_kept_and_any_other_is_hashed() {
        for same in ["evt_1-B", &"x".repeat(128)] {
            assert_eq!(EventId::for_key(same).unwrap().as_str(), same);
        }
        let whatsapp = "true_4915112345678@c.us_3EB0C767D26B:97=";
        // printf %s KEY | sha256sum
        let hashed = EventId::for_key("a.b").unwrap();
        assert_eq!(hashed.as_str(), "key_2e7336dc8eba87ef472df568c35482ab");
        let others = [whatsapp, "a.c", "a/b", &"x".repeat(129), &"x".repeat(255)];
        let ids: std::collections::BTreeSet<_> = others
            .into_iter()
            .map(|key| EventId::for_key(key).unwrap())
            .collect();
        assert_eq!(ids.len(), others.len());
        for id in ids {
            assert_eq!(EventId::parse(id.as_str()), Ok(id));
        }
    }

    #[test]
    fn key_in_quotes_is_the_key() {
        assert_eq!(EventId::for_key("\"evt-1\"").unwrap().as_str(), "evt-1");
    }

    #[test]
    fn key_must_be_visible_ascii() {
        for bad in ["", "\"\"", "a b", "ä", "a\n", "a\u{7f}", &"x".repeat(256)] {
            assert_eq!(EventId::for_key(bad), Err(InvalidKey), "{bad:?}");
        }
    }

    #[test]
    fn id_fits_into_a_header_and_a_key() {
        for good in ["a", "evt_1-B", &"x".repeat(128)] {
            assert_eq!(EventId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a.b", "a/b", "ä", "a\n", &"x".repeat(129)] {
            assert_eq!(EventId::parse(bad), Err(InvalidEventId), "{bad:?}");
        }
    }
}
