//! JSON web tokens (RFC 7519), signed with HMAC-SHA256.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::Hmac;
use sha2::Sha256;
use wahook_domain::{
    UnixMillis,
    json::{Node, parse},
};

use super::is_mac;
use crate::member::{get, text};

/// Tolerance for clocks that differ, in seconds.
const LEEWAY: f64 = 60.0;

/// Returns true if the value of `Authorization` is `Bearer` and a token that this secret signed
/// and that is valid now.
pub(super) fn is_valid(authorization: &str, secret: &[u8], now: UnixMillis) -> bool {
    let Some((scheme, token)) = authorization.trim().split_once(' ') else {
        return false;
    };
    scheme.eq_ignore_ascii_case("bearer") && is_signed(token.trim(), secret, now).unwrap_or(false)
}

/// Returns `None` if the token has another form.
fn is_signed(token: &str, secret: &[u8], now: UnixMillis) -> Option<bool> {
    let (signed, mac) = token.rsplit_once('.')?;
    let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
    if !is_mac::<Hmac<Sha256>>(&mac, signed.as_bytes(), secret) {
        return Some(false);
    }
    let (header, claims) = signed.split_once('.')?;
    let header = URL_SAFE_NO_PAD.decode(header).ok()?;
    let header = parse(&header).ok()?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims = parse(&claims).ok()?;
    let is_hs256 = text(&header, &["alg"]).is_some_and(|algorithm| algorithm == "HS256");
    Some(is_hs256 && get(&header, "crit").is_none() && is_current(&claims, now))
}

fn is_current(claims: &Node<'_>, now: UnixMillis) -> bool {
    let now = now.seconds() as f64;
    let meets = |name: &str, rule: &dyn Fn(f64) -> bool| match get(claims, name) {
        None => true,
        Some(Node::Number(seconds)) => rule(*seconds),
        Some(_) => false,
    };
    matches!(claims, Node::Object(_))
        && meets("exp", &|end| now < end + LEEWAY)
        && meets("nbf", &|start| start <= now + LEEWAY)
        && meets("iat", &|issued| issued <= now + LEEWAY)
}

#[cfg(test)]
pub(super) mod tests {
    use hmac::{KeyInit as _, Mac as _};

    use super::*;

    /// Token in the form of Evolution, issued at 1732780000 for ten minutes:
    ///
    /// ```python
    /// part = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=")
    /// signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(
    ///     b'{"iat":1732780000,"exp":1732780600,"app":"evolution","action":"webhook"}')
    /// signed + b"." + part(hmac.new(b"s3cret", signed, hashlib.sha256).digest())
    /// ```
    pub(in crate::signature) const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
        eyJpYXQiOjE3MzI3ODAwMDAsImV4cCI6MTczMjc4MDYwMCwiYXBwIjoiZXZvbHV0aW9uIiwiYWN0aW9uIjoid2ViaG9vayJ9.\
        o0dNnS9nVtL9DTEVL0kis886-WvOcGrOQZ8lLy6ACsI";

    fn token(header: &str, claims: &str) -> String {
        let signed = [header, claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".");
        let mac = Hmac::<Sha256>::new_from_slice(b"s3cret").unwrap();
        let mac = mac.chain_update(&signed).finalize().into_bytes();
        format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(mac))
    }

    fn is_valid_at(authorization: &str, second: i64) -> bool {
        is_valid(authorization, b"s3cret", UnixMillis::new(second * 1_000))
    }

    #[test]
    fn token_is_valid_from_its_issue_to_its_end_with_a_minute_of_leeway() {
        let token = format!("Bearer {TOKEN}");
        for (second, expected) in [
            (1_732_779_939, false),
            (1_732_779_940, true),
            (1_732_780_659, true),
            (1_732_780_660, false),
        ] {
            assert_eq!(is_valid_at(&token, second), expected, "{second}");
        }
    }

    #[test]
    fn only_hs256_is_valid() {
        let header = r#"{"alg":"HS256"}"#;
        assert!(is_valid_at(&token(header, "{}"), 0));
        assert!(is_valid_at(&token(header, r#"{"nbf":60}"#), 0));
        for (header, claims) in [
            (r#"{"alg":"none"}"#, "{}"),
            (r#"{"alg":"HS512"}"#, "{}"),
            (r#"{"alg":"HS256","crit":["exp"]}"#, "{}"),
            ("{}", "{}"),
            (header, "[]"),
            (header, ""),
            (header, r#"{"nbf":61}"#),
            (header, r#"{"exp":"9999999999"}"#),
        ] {
            assert!(!is_valid_at(&token(header, claims), 0), "{header} {claims}");
        }
    }

    #[test]
    fn other_texts_are_no_tokens() {
        let unsigned = TOKEN.rsplit_once('.').unwrap().0;
        for other in [
            TOKEN.to_owned(),
            format!("Basic {TOKEN}"),
            format!("Bearer {unsigned}."),
            format!("Bearer {unsigned}"),
            format!("Bearer {TOKEN}.x"),
            "Bearer s3cret".to_owned(),
            "Bearer ".to_owned(),
            "Bearer ..".to_owned(),
            String::new(),
        ] {
            assert!(!is_valid_at(&other, 1_732_780_000), "{other}");
        }
    }
}
