//! Keys of the two signature headers.

use std::fmt;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use wahook_domain::{InvalidSecret, Secret};

const PREFIX: &str = "whsec_";

/// Base64 with or without padding: both occur in secrets.
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Secret that the sender should have, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    text: String,
    /// Decoded bytes after `whsec_`, if the secret has that form.
    decoded: Option<Vec<u8>>,
}

impl Keys {
    /// Creates the keys from a secret, exactly as given.
    ///
    /// # Errors
    /// If it is empty, or `whsec_` is not followed by Base64.
    pub fn new(text: String) -> Result<Self, InvalidSecret> {
        // The consumer accepts secrets by the same rule.
        Secret::new(text.clone())?;
        let encoded = text.strip_prefix(PREFIX);
        let decoded = encoded.and_then(|encoded| ANY_PADDING.decode(encoded).ok());
        Ok(Self { text, decoded })
    }

    /// Returns the key of `X-Webhook-Signature`.
    pub(super) fn plain(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Returns the key of `webhook-signature`.
    pub(super) fn standard(&self) -> &[u8] {
        self.decoded.as_deref().unwrap_or(self.text.as_bytes())
    }

    pub(super) const fn is_encoded(&self) -> bool {
        self.decoded.is_some()
    }

    /// Returns variants of the secret that files, shells and settings often produce.
    pub(super) fn mistaken(&self) -> impl Iterator<Item = Vec<u8>> {
        let text = &self.text;
        let added = [
            format!("{text}\n"),
            format!("{text}\r\n"),
            format!("{text} "),
            format!("\"{text}\""),
            format!("'{text}'"),
            text.trim().to_owned(),
            text.trim_matches(['"', '\'']).to_owned(),
        ];
        added
            .into_iter()
            .filter(move |mistaken| mistaken != text)
            .map(String::into_bytes)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
