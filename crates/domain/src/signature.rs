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
}

impl Secret {
    /// Validates a secret; it is used exactly as given.
    ///
    /// # Errors
    /// When the secret is empty, or `whsec_` is not followed by base64.
    pub fn new(secret: String) -> Result<Self, InvalidSecret> {
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

    /// Returns the value of `X-Webhook-Signature`: 64 lowercase hexadecimal digits of
    /// the HMAC-SHA256 of the body, keyed by the current secret's bytes exactly
    /// as given. The header has room for one secret only.
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
        let head = format!("{id}.{seconds}.");
        let mut signatures = String::with_capacity(48 * self.standard.len());
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
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    nibbles
        .filter_map(|nibble| char::from_digit(nibble.into(), 16))
        .collect()
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
}
