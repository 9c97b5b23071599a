//! Who may send events.

use axum::http::{HeaderMap, header};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The live tokens: none (on loopback only), one, or two during a rotation.
#[derive(Clone, Default)]
pub struct Tokens(Vec<Digest>);

/// A token is kept and compared as a keyed digest, so that the comparison takes
/// the same time whatever was sent, its length included.
#[derive(Clone)]
struct Digest(Vec<u8>);

/// Why a list of tokens is no good.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTokens {
    /// A rotation has two live tokens, not more.
    #[error("there are {0} tokens; at most two can be live")]
    TooMany(usize),
    /// A short token can be guessed.
    #[error("a token must have 16 to 256 visible characters without spaces")]
    Weak,
}

impl Tokens {
    /// Reads one token, or two with a comma between.
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
            tokens
                .into_iter()
                .map(|t| Digest::of(t.as_bytes()))
                .collect(),
        ))
    }

    /// Whether nobody is asked for a token.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request may send events.
    #[must_use]
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        if self.is_empty() {
            return true;
        }
        let Some(sent) = headers
            .get(header::AUTHORIZATION)
            .and_then(|v| bearer(v.as_bytes()))
        else {
            return false;
        };
        // Not `any`: both are compared, whichever matches.
        self.0
            .iter()
            .fold(false, |allowed, token| allowed | token.matches(sent))
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({} live)", self.0.len())
    }
}

/// The token of an `Authorization` header; the scheme's name has no case.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

impl Digest {
    fn of(token: &[u8]) -> Self {
        Self(keyed(token).finalize().into_bytes().to_vec())
    }

    fn matches(&self, token: &[u8]) -> bool {
        keyed(token).verify_slice(&self.0).is_ok()
    }
}

fn keyed(token: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new(&Default::default());
    mac.update(token);
    mac
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
    fn both_tokens_of_a_rotation_are_live_and_no_other_is() {
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
    fn without_tokens_nobody_is_asked() {
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
