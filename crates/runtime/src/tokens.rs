//! Bearer tokens of clients.

use std::sync::LazyLock;

use axum::http::{HeaderMap, header};
use hmac::{Hmac, KeyInit, Mac, digest::CtOutput};
use sha2::Sha256;

/// Keyed hash of no bytes. Its key is prepared once: that costs as much as the hash of a token.
static KEYED: LazyLock<Hmac<Sha256>> = LazyLock::new(|| Hmac::new(&Default::default()));

/// Valid tokens: none (on loopback only), one, or two during a rotation.
#[derive(Clone, Default)]
pub struct Tokens(Vec<Digest>);

/// Keyed digest of a token, so that a comparison takes the same time for any
/// value of any length.
type Digest = CtOutput<Hmac<Sha256>>;

/// Reasons for which a list of tokens is invalid.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTokens {
    /// More than the two tokens of a rotation.
    #[error("there are {0} tokens; at most two are allowed")]
    TooMany(usize),
    /// Short tokens can be guessed.
    #[error("a token must have 16 to 256 visible characters without spaces")]
    Weak,
}

impl Tokens {
    /// Parses one token, or two separated by a comma.
    pub fn parse(list: &str) -> Result<Self, InvalidTokens> {
        let tokens: Vec<&str> = list.split(',').map(str::trim).collect();
        if tokens.len() > 2 {
            return Err(InvalidTokens::TooMany(tokens.len()));
        }
        let visible = |token: &str| token.bytes().all(|b| b.is_ascii_graphic());
        if tokens
            .iter()
            .any(|t| !(16..=256).contains(&t.len()) || !visible(t))
        {
            return Err(InvalidTokens::Weak);
        }
        Ok(Self(
            tokens.into_iter().map(|t| digest(t.as_bytes())).collect(),
        ))
    }

    /// Returns true if no token is required.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if a request may pass.
    #[must_use]
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        if self.is_empty() {
            return true;
        }
        bearer(headers).is_some_and(|sent| self.contains(sent))
    }

    /// Returns true if a text is one of the tokens.
    #[must_use]
    pub fn contains(&self, text: &[u8]) -> bool {
        let sent = digest(text);
        // Not `any`: both are always compared.
        self.0
            .iter()
            .fold(false, |found, token| found | (*token == sent))
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({} live)", self.0.len())
    }
}

/// Returns the token of the `Authorization` header; the scheme's name is
/// case-insensitive.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let header = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = header.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

fn digest(token: &[u8]) -> Digest {
    KEYED.clone().chain_update(token).finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const FIRST: &str = "first-token-0123456789";
    const SECOND: &str = "second-token-012345678";

    fn sent(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn both_tokens_of_a_rotation_are_valid_and_no_other_is() {
        let tokens = Tokens::parse(&format!("{FIRST}, {SECOND}")).unwrap();
        assert!(tokens.allow(&sent(&format!("Bearer {FIRST}"))));
        assert!(tokens.allow(&sent(&format!("bearer {SECOND}"))));
        for wrong in [
            "Bearer first-token-012345678",
            "Bearer ",
            "Basic Zm9v",
            FIRST,
            "Bearer",
        ] {
            assert!(!tokens.allow(&sent(wrong)), "{wrong}");
        }
        assert!(!tokens.allow(&HeaderMap::new()));
    }

    #[test]
    fn without_tokens_every_request_is_allowed() {
        assert!(Tokens::default().allow(&HeaderMap::new()));
    }

    #[test]
    fn weak_or_too_many_tokens_are_refused() {
        assert!(Tokens::parse("short").is_err());
        assert!(Tokens::parse("has spaces inside of it").is_err());
        assert!(Tokens::parse(&[FIRST, SECOND, FIRST].join(",")).is_err());
        assert!(Tokens::parse(&format!("{FIRST},")).is_err());
    }
}
