//! Random key from which the cookies of sessions are derived.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

/// Random key of this process. Without it, a client that tries cookies could find out a weak
/// token.
pub(crate) struct SessionKey([u8; 64]);

/// New key.
impl Default for SessionKey {
    fn default() -> Self {
        let mut key = [0; 64];
        for part in key.chunks_mut(16) {
            part.copy_from_slice(Uuid::new_v4().as_bytes());
        }
        Self(key)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey")
    }
}

impl SessionKey {
    /// Returns the cookie of a token's sessions.
    pub(crate) fn cookie_of(&self, token: &[u8]) -> String {
        let mac = Hmac::<Sha256>::new(&self.0.into()).chain_update(token);
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}
