//! Credentials of clients, and what they permit.

use axum::http::{HeaderMap, header};
use serde::Serialize;
use utoipa::ToSchema;
use wahook_runtime::tokens::{InvalidTokens, Tokens, bearer};

use crate::session_key::SessionKey;

/// Cookie of a session.
const COOKIE: &str = "wahook_console";
/// Cookies of a request that are compared.
const MOST_COOKIES: usize = 4;

/// What a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Access {
    /// Read everything.
    Read,
    /// Read everything, and act.
    Write,
}

/// Tokens of readers and of operators; without any, every client may act.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    write: Keys,
    read: Keys,
    session_key: SessionKey,
}

/// Tokens for one kind of access. The cookie of a session is derived from a token and the key
/// of the process.
#[derive(Debug, Default)]
struct Keys {
    tokens: Tokens,
    cookies: Tokens,
}

/// Error in the tokens.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub(crate) struct InvalidCredentials {
    /// True if the fault is in the readers' tokens.
    pub(crate) is_of_reader: bool,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("is invalid: {0}")]
    Tokens(#[from] InvalidTokens),
    #[error("must differ from CONSOLE_TOKEN")]
    Same,
}

/// Credentials of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The request may pass.
    Granted(Access),
    /// The request has no credentials, or the cookie of an ended session.
    Missing,
    /// The bearer token is wrong.
    Wrong,
}

impl Credentials {
    /// Parses the lists of tokens.
    pub(crate) fn parse(
        write: Option<&str>,
        read: Option<&str>,
    ) -> Result<Self, InvalidCredentials> {
        let session_key = SessionKey::default();
        let keys = |list: Option<&str>, is_of_reader| {
            let keys = list.map(|list| Keys::parse(list, &session_key)).transpose();
            keys.map_err(|error| InvalidCredentials {
                is_of_reader,
                cause: error.into(),
            })
        };
        let credentials = Self {
            write: keys(write, false)?.unwrap_or_default(),
            read: keys(read, true)?.unwrap_or_default(),
            session_key,
        };
        let is_shared = |token: &str| credentials.write.tokens.contains(token.trim().as_bytes());
        if read.is_some_and(|list| list.split(',').any(is_shared)) {
            return Err(InvalidCredentials {
                is_of_reader: true,
                cause: Cause::Same,
            });
        }
        Ok(credentials)
    }

    /// Returns true if no token is required.
    pub(crate) fn is_empty(&self) -> bool {
        self.write.tokens.is_empty()
    }

    /// Returns what a request may do. A bearer token takes precedence over a cookie.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Claim {
        if self.is_empty() {
            return Claim::Granted(Access::Write);
        }
        match bearer(headers) {
            Some(token) => self.of_token(token).map_or(Claim::Wrong, Claim::Granted),
            None => self.of_cookies(headers),
        }
    }

    /// Returns what a token permits; `None` if it is wrong.
    pub(crate) fn of_token(&self, token: &[u8]) -> Option<Access> {
        self.find(|keys| keys.tokens.contains(token))
    }

    fn of_cookies(&self, headers: &HeaderMap) -> Claim {
        let lines = headers.get_all(header::COOKIE).iter();
        let cookies = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='));
        let mut cookies = cookies.take(MOST_COOKIES);
        let granted =
            cookies.find_map(|cookie| self.find(|keys| keys.cookies.contains(cookie.as_bytes())));
        granted.map_or(Claim::Missing, Claim::Granted)
    }

    /// Returns the `Set-Cookie` header that starts a session. A secure cookie is sent by
    /// HTTPS only.
    pub(crate) fn session_start(&self, token: &[u8], is_secure: bool) -> String {
        let secure = if is_secure { "; Secure" } else { "" };
        let cookie = self.session_key.cookie_of(token);
        format!("{COOKIE}={cookie}; {ATTRIBUTES}{secure}")
    }

    fn find(&self, matches: impl Fn(&Keys) -> bool) -> Option<Access> {
        if matches(&self.write) {
            Some(Access::Write)
        } else {
            matches(&self.read).then_some(Access::Read)
        }
    }
}

impl Keys {
    fn parse(list: &str, session_key: &SessionKey) -> Result<Self, InvalidTokens> {
        let tokens = Tokens::parse(list)?;
        let cookies: Vec<_> = list
            .split(',')
            .map(|token| session_key.cookie_of(token.trim().as_bytes()))
            .collect();
        let cookies = Tokens::parse(&cookies.join(","))?;
        Ok(Self { tokens, cookies })
    }
}

/// `Set-Cookie` header that ends a session.
pub(crate) const SESSION_END: &str =
    "wahook_console=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0";
const ATTRIBUTES: &str = "HttpOnly; SameSite=Strict; Path=/";

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    const OPERATOR: &str = "operator-0123456789";
    const READER: &str = "reader-0123456789";

    fn credentials() -> Credentials {
        Credentials::parse(Some(OPERATOR), Some(READER)).unwrap()
    }

    fn sent(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    fn cookie(credentials: &Credentials, token: &str) -> HeaderMap {
        let set = credentials.session_start(token.as_bytes(), false);
        let (pair, _) = set.split_once(';').unwrap();
        sent(header::COOKIE, &format!("other=1; {pair}"))
    }

    #[test]
    fn token_grants_its_access_as_bearer_and_as_cookie() {
        for (token, access) in [(OPERATOR, Access::Write), (READER, Access::Read)] {
            let credentials = credentials();
            let bearer = sent(header::AUTHORIZATION, &format!("Bearer {token}"));
            assert_eq!(credentials.check(&bearer), Claim::Granted(access));
            let claim = credentials.check(&cookie(&credentials, token));
            assert_eq!(claim, Claim::Granted(access));
        }
    }

    #[test]
    fn wrong_token_counts_and_an_ended_session_does_not() {
        let wrong = sent(header::AUTHORIZATION, "Bearer operator-012345678");
        assert_eq!(credentials().check(&wrong), Claim::Wrong);
        let current = credentials();
        let ended = cookie(&current, "replaced-0123456789");
        assert_eq!(current.check(&ended), Claim::Missing);
        assert_eq!(current.check(&HeaderMap::new()), Claim::Missing);
    }

    #[test]
    fn session_ends_with_its_process() {
        let earlier = cookie(&credentials(), OPERATOR);
        assert_eq!(credentials().check(&earlier), Claim::Missing);
    }

    #[test]
    fn only_the_first_cookies_of_a_request_are_compared() {
        let credentials = credentials();
        let valid = credentials.session_start(OPERATOR.as_bytes(), false);
        let (valid, _) = valid.split_once(';').unwrap();
        for wrong in [MOST_COOKIES - 1, MOST_COOKIES] {
            let cookies = format!("{}{valid}", "wahook_console=x; ".repeat(wrong));
            let claim = credentials.check(&sent(header::COOKIE, &cookies));
            assert_eq!(claim == Claim::Missing, wrong == MOST_COOKIES);
        }
    }

    #[test]
    fn token_itself_is_no_cookie() {
        let token = sent(header::COOKIE, &format!("{COOKIE}={OPERATOR}"));
        assert_eq!(credentials().check(&token), Claim::Missing);
        let set = credentials().session_start(OPERATOR.as_bytes(), true);
        assert!(
            !set.contains(OPERATOR) && set.ends_with("; Secure"),
            "{set}"
        );
    }

    #[test]
    fn without_tokens_every_client_may_act() {
        let open = Credentials::default();
        let claim = open.check(&HeaderMap::new());
        assert_eq!(claim, Claim::Granted(Access::Write));
    }

    #[test]
    fn readers_need_a_token_of_their_own() {
        let list = format!("{READER}, {OPERATOR}");
        let refused = Credentials::parse(Some(OPERATOR), Some(&list)).unwrap_err();
        assert!(refused.is_of_reader);
    }
}
