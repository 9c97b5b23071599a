//! Credentials in the forms that gateways can send.

use axum::http::{HeaderMap, HeaderName, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use wahook_runtime::{clock, tokens::Tokens};
use wahook_sources::{Verification, verify};

use super::source::Source;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Path and query of a request below `/v1/in/{source}`, without the token.
#[derive(Debug, PartialEq)]
pub(crate) struct Address<'a> {
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
}

/// Reason for which a request may not post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    Token,
    Signature(Verification),
}

/// Checks the token of a request: as Bearer, as the password of Basic, in `X-Api-Key`, in the
/// query, or as the last or first segment of the path. Returns the address without the token.
///
/// Evolution appends `/` and the event's name to its URL, also behind a query.
pub(crate) fn check_token<'a>(
    tokens: &Tokens,
    headers: &HeaderMap,
    path: &'a str,
    query: &'a str,
) -> Result<Address<'a>, Denied> {
    let path = path.trim_matches('/');
    let (before, last) = path.rsplit_once('/').unwrap_or(("", path));
    let (first, after) = path.split_once('/').unwrap_or((path, ""));
    for (segment, path) in [(last, before), (first, after)] {
        if !segment.is_empty() && tokens.contains(&decoded(segment)) {
            return Ok(Address { path, query });
        }
    }
    let mut in_query = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("token="));
    if let Some(appended) = in_query.find_map(|value| appended_to_token(tokens, value)) {
        let path = if appended.is_empty() { path } else { appended };
        return Ok(Address { path, query: "" });
    }
    if in_headers(tokens, headers) {
        return Ok(Address { path, query });
    }
    Err(Denied::Token)
}

/// Returns what follows the token in a value of the query; `None` if it is not the token.
fn appended_to_token<'a>(tokens: &Tokens, value: &'a str) -> Option<&'a str> {
    if tokens.contains(&decoded(value)) {
        return Some("");
    }
    let (token, appended) = value.rsplit_once('/')?;
    tokens.contains(&decoded(token)).then_some(appended)
}

fn in_headers(tokens: &Tokens, headers: &HeaderMap) -> bool {
    let key = headers.get(API_KEY).map(|key| key.as_bytes());
    if key.is_some_and(|key| tokens.contains(key)) || tokens.allow(headers) {
        return true;
    }
    let authorization = headers.get(header::AUTHORIZATION);
    let password = authorization.and_then(|value| password(value.as_bytes()));
    password.is_some_and(|password| tokens.contains(&password))
}

/// Returns the password of Basic authentication.
fn password(header: &[u8]) -> Option<Vec<u8>> {
    let (scheme, login) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let login = STANDARD.decode(login.trim_ascii()).ok()?;
    let colon = login.iter().position(|byte| *byte == b':')?;
    login.get(colon + 1..).map(<[u8]>::to_vec)
}

fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

/// Checks the gateway's own signature, if the source has its key.
pub(crate) fn check_signature(
    source: &Source,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), Denied> {
    let Some(key) = &source.secret else {
        return Ok(());
    };
    let header = |name: &str| headers.get(name)?.to_str().ok();
    match verify(source.kind, header, body, key.as_bytes(), clock::now()) {
        Verification::Valid => Ok(()),
        other => Err(Denied::Signature(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const TOKEN: &str = "token-0123456789/+";

    fn check<'a>(
        header: Option<(HeaderName, &'static str)>,
        path: &'a str,
        query: &'a str,
    ) -> Option<&'a str> {
        let header = header.map(|(name, value)| (name, HeaderValue::from_static(value)));
        let headers = HeaderMap::from_iter(header);
        let tokens = Tokens::parse(TOKEN).unwrap();
        let address = check_token(&tokens, &headers, path, query).ok()?;
        Some(address.path)
    }

    #[test]
    fn token_is_accepted_in_every_form() {
        let authorization = || header::AUTHORIZATION;
        for (header, path, query, left) in [
            (
                Some((authorization(), "Bearer token-0123456789/+")),
                "",
                "",
                "",
            ),
            // printf %s 'any:token-0123456789/+' | base64
            (
                Some((authorization(), "Basic YW55OnRva2VuLTAxMjM0NTY3ODkvKw==")),
                "messages-upsert",
                "",
                "messages-upsert",
            ),
            (Some((API_KEY, TOKEN)), "/", "a=1", ""),
            (None, "x", "a=1&token=token-0123456789%2F%2B", "x"),
            (None, "token-0123456789%2F%2B", "", ""),
            (None, "/token-0123456789%2f%2b/", "", ""),
            (None, "a/b/token-0123456789%2F%2B", "", "a/b"),
            (
                None,
                "token-0123456789%2F%2B/messages-upsert",
                "",
                "messages-upsert",
            ),
            (
                None,
                "",
                "token=token-0123456789%2F%2B/messages-upsert",
                "messages-upsert",
            ),
        ] {
            assert_eq!(check(header, path, query), Some(left), "{path:?} {query:?}");
        }
    }

    #[test]
    fn wrong_or_missing_token_is_denied() {
        let authorization = || header::AUTHORIZATION;
        for (header, path, query) in [
            (None, "", ""),
            (None, "more/token-0123456789%2F%2B/more", ""),
            (None, "", "token="),
            (None, "", "xtoken=token-0123456789%2F%2B"),
            (Some((authorization(), "Bearer wrong-0123456789")), "", ""),
            (Some((authorization(), "Basic !")), "", ""),
            (Some((authorization(), "Basic bm9jb2xvbg==")), "", ""),
            (Some((API_KEY, "")), "", ""),
        ] {
            assert_eq!(check(header, path, query), None, "{path:?} {query:?}");
        }
    }
}
