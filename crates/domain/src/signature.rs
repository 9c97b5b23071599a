//! Signatures that prove the origin of a delivery.
//!
//! Two forms are sent together: the hexadecimal HMAC of the body alone, and the
//! form of the [Standard Webhooks](https://www.standardwebhooks.com)
//! specification, which also covers id and time.

use std::fmt;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::id::EventId;

/// Prefix of secrets in the form of Standard Webhooks.
const PREFIX: &str = "whsec_";

/// Decoder for secrets with or without padding.
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Secret shared with a receiver. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Reason why a text is not a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Empty, and so known to everyone.
    #[error("the secret is empty")]
    Empty,
    /// `whsec_` followed by text that receivers can't decode.
    #[error("the part after whsec_ in the secret is not base64")]
    NotBase64,
    /// Text of which a receiver would use another part.
    #[error("the secret begins with a byte order mark: save the file without it")]
    ByteOrderMark,
    #[error("the secret is in quotes: remove them")]
    Quoted,
    #[error("the secret begins with v1,: use the part after it, from whsec_ on")]
    Versioned,
    #[error("the prefix of the secret must be whsec_ in lower case")]
    PrefixCase,
}

impl Secret {
    /// Validates a secret; it is used exactly as given.
    ///
    /// # Errors
    /// When the secret is empty, or `whsec_` is not followed by base64, or the text was
    /// most likely copied with something that does not belong to the secret.
    pub fn new(secret: String) -> Result<Self, InvalidSecret> {
        refuse_ambiguous(&secret)?;
        let secret = Self(secret);
        match secret.standard_key()?.as_slice() {
            [] => Err(InvalidSecret::Empty),
            _ => Ok(secret),
        }
    }

    /// Returns the key of `X-Webhook-Signature`.
    fn body_key(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Returns the key of `webhook-signature`.
    fn standard_key(&self) -> Result<Vec<u8>, InvalidSecret> {
        match self.0.strip_prefix(PREFIX) {
            Some(encoded) => ANY_PADDING
                .decode(encoded)
                .map_err(|_| InvalidSecret::NotBase64),
            None => Ok(self.0.as_bytes().to_vec()),
        }
    }
}

/// Refuses texts that would silently be used as they are, although the secret is another.
fn refuse_ambiguous(text: &str) -> Result<(), InvalidSecret> {
    let starts_with = |text: &str, prefix: &str| {
        let start = text.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let is_quoted = |quote: char| {
        let inner = text.strip_prefix(quote);
        inner.is_some_and(|inner: &str| inner.ends_with(quote))
    };
    if text.starts_with('\u{feff}') {
        return Err(InvalidSecret::ByteOrderMark);
    }
    if is_quoted('"') || is_quoted('\'') {
        return Err(InvalidSecret::Quoted);
    }
    if text.get(3..).is_some_and(|rest| starts_with(rest, PREFIX)) && starts_with(text, "v1,") {
        return Err(InvalidSecret::Versioned);
    }
    if starts_with(text, PREFIX) && !text.starts_with(PREFIX) {
        return Err(InvalidSecret::PrefixCase);
    }
    Ok(())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Signs deliveries. The keys are prepared once, so that a signature costs only
/// the hashing of the body.
#[derive(Clone)]
pub struct Signer {
    body: Hmac<Sha256>,
    /// Keys of all active secrets, the current one first.
    standard: Vec<Hmac<Sha256>>,
}

impl Signer {
    /// Creates a signer with the current secret and, during a rotation, the previous
    /// one.
    ///
    /// # Errors
    /// When a secret can't be a key.
    pub fn new(current: Secret, previous: Option<Secret>) -> Result<Self, InvalidSecret> {
        let body = keyed(current.body_key());
        let standard = [Some(current), previous]
            .into_iter()
            .flatten()
            .map(|secret| secret.standard_key().map(|key| keyed(&key)))
            .collect::<Result<_, _>>()?;
        Ok(Self { body, standard })
    }

    /// Uses another secret for `X-Webhook-Signature`, which has room for one signature.
    #[must_use]
    pub fn with_body_secret(self, secret: &Secret) -> Self {
        Self {
            body: keyed(secret.body_key()),
            ..self
        }
    }

    /// Returns the value of `X-Webhook-Signature`: 64 lowercase hexadecimal digits of
    /// the HMAC-SHA256 of the body, keyed by the bytes of one secret exactly as given.
    #[must_use]
    pub fn body_signature(&self, body: &[u8]) -> String {
        hex(&self.body.clone().chain_update(body).finalize().into_bytes())
    }

    /// Returns the value of `webhook-signature`, over `id.seconds.body`: `v1,<base64>`
    /// for each active secret, the current one first, separated by spaces.
    ///
    /// A secret of the form `whsec_<base64>` is keyed by the decoded bytes, any
    /// other by its bytes as given.
    #[must_use]
    pub fn standard_webhooks(&self, id: &EventId, seconds: i64, body: &[u8]) -> String {
        let head = [id.as_str(), ".", &seconds.to_string(), "."].concat();
        // 47 characters each, and a space between two.
        let length = (48 * self.standard.len()).saturating_sub(1);
        let mut signatures = String::with_capacity(length);
        for keyed in &self.standard {
            let digest = keyed
                .clone()
                .chain_update(&head)
                .chain_update(body)
                .finalize();
            if !signatures.is_empty() {
                signatures.push(' ');
            }
            signatures.push_str("v1,");
            STANDARD.encode_string(digest.into_bytes(), &mut signatures);
        }
        signatures
    }
}

/// Redacted: the prepared state of a key is as secret as the key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} secrets, [redacted])", self.standard.len())
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("a key of any length")
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0xf] {
            let first = if nibble < 10 { b'0' } else { b'a' - 10 };
            text.push(char::from(first + nibble));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned()).unwrap()
    }

    fn signer(current: &str) -> Signer {
        Signer::new(secret(current), None).unwrap()
    }

    #[test]
    fn the_body_signature_uses_the_chosen_secret() {
        let current = Signer::new(secret("new"), Some(secret("old"))).unwrap();
        let previous = current.clone().with_body_secret(&secret("old"));
        assert_eq!(
            current.body_signature(b"x"),
            signer("new").body_signature(b"x")
        );
        assert_eq!(
            previous.body_signature(b"x"),
            signer("old").body_signature(b"x")
        );
        let id = EventId::parse("evt-1").unwrap();
        assert_eq!(
            current.standard_webhooks(&id, 1, b"x"),
            previous.standard_webhooks(&id, 1, b"x")
        );
    }

    #[test]
    fn the_body_signature_is_hmac_sha256_in_lowercase_hex() {
        // RFC 4231, test cases 2 and 6 (a key longer than a block).
        assert_eq!(
            signer("Jefe").body_signature(b"what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        // The RFC's key of 131 bytes 0xaa is not text.
        let mac = keyed(&[0xaa; 131])
            .chain_update("Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(
            hex(&mac.finalize().into_bytes()),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    const MESSAGE: (&str, i64, &[u8]) = (
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        br#"{"test": 2432232314}"#,
    );

    fn standard(signer: &Signer) -> String {
        let (id, seconds, body) = MESSAGE;
        signer.standard_webhooks(&EventId::parse(id).unwrap(), seconds, body)
    }

    #[test]
    fn signature_matches_the_published_example_of_standard_webhooks() {
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(
            standard(&signer("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
            expected
        );
    }

    #[test]
    fn a_secret_in_another_form_is_keyed_by_its_bytes() {
        use base64::engine::general_purpose::STANDARD_NO_PAD;
        for text in ["plain", "wh", "häßlich"] {
            for encoded in [STANDARD.encode(text), STANDARD_NO_PAD.encode(text)] {
                assert_eq!(
                    standard(&signer(text)),
                    standard(&signer(&format!("whsec_{encoded}")))
                );
            }
        }
    }

    #[test]
    fn the_body_signature_takes_every_secret_as_given() {
        let plain = signer("secret").body_signature(b"{}");
        let prefixed = format!("whsec_{}", STANDARD.encode("secret"));
        assert_ne!(plain, signer(&prefixed).body_signature(b"{}"));
        assert_eq!(
            plain,
            "77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13"
        );
    }

    #[test]
    fn both_secrets_sign_during_a_rotation_the_current_one_first() {
        let both = Signer::new(secret("new"), Some(secret("old"))).unwrap();
        let expected = format!("{} {}", standard(&signer("new")), standard(&signer("old")));
        assert_eq!(standard(&both), expected);
        assert_eq!(
            both.body_signature(b"x"),
            signer("new").body_signature(b"x")
        );
    }

    #[test]
    fn invalid_secret_is_rejected() {
        let rejected = |text: &str| Secret::new(text.to_owned()).unwrap_err();
        assert_eq!(rejected(""), InvalidSecret::Empty);
        assert_eq!(rejected("whsec_"), InvalidSecret::Empty);
        assert_eq!(rejected("whsec_not base64!"), InvalidSecret::NotBase64);
    }

    #[test]
    fn a_secret_is_never_shown() {
        let (secret, signer) = (secret("hunter2hunter2"), signer("hunter2hunter2"));
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert_eq!(format!("{signer:?}"), "Signer(1 secrets, [redacted])");
    }

    #[test]
    fn secret_with_foreign_parts_is_refused() {
        for (text, error) in [
            ("\u{feff}secret", InvalidSecret::ByteOrderMark),
            ("\"secret\"", InvalidSecret::Quoted),
            (
                "'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'",
                InvalidSecret::Quoted,
            ),
            (
                "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                InvalidSecret::Versioned,
            ),
            ("V1,WHSEC_MfKQ", InvalidSecret::Versioned),
            (
                "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                InvalidSecret::PrefixCase,
            ),
            ("Whsec_x", InvalidSecret::PrefixCase),
        ] {
            assert_eq!(Secret::new(text.to_owned()), Err(error), "{text}");
        }
        for plain in [
            "it's",
            "\"",
            "v1,secret",
            "my whsec_x",
            "whse",
            "ä",
            "vä,whsec_x",
        ] {
            assert!(Secret::new(plain.to_owned()).is_ok(), "{plain}");
        }
    }
}
