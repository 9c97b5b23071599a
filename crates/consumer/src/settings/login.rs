//! Login in an endpoint's URL.

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};

/// Reason why a login can't be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoginFault {
    #[error(
        "but the user name contains a colon (%3A), which Basic authentication can't send: \
         use another user"
    )]
    ColonInUser,
    #[error("but its login can't be sent: remove it and set an Authorization header")]
    NotSendable,
}

/// Moves the login of the URL to a header, so that no part of the program that logs or
/// stores the URL sees it. User and password are percent-decoded, as in other clients.
pub(super) fn take_login(url: &mut Url) -> Result<Option<(HeaderName, HeaderValue)>, LoginFault> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    if percent_decode_str(url.username()).any(|byte| byte == b':') {
        return Err(LoginFault::ColonInUser);
    }
    let value = basic(url).ok_or(LoginFault::NotSendable)?;
    let removed = url.set_username("").and_then(|()| url.set_password(None));
    removed.map_err(|()| LoginFault::NotSendable)?;
    Ok(Some((AUTHORIZATION, value)))
}

/// Returns the login of a URL as the value of a header for Basic authentication; `None` if it
/// has no login.
pub(crate) fn basic(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut login: Vec<u8> = percent_decode_str(url.username()).collect();
    login.push(b':');
    login.extend(percent_decode_str(url.password().unwrap_or_default()));
    let basic = format!("Basic {}", BASE64_STANDARD.encode(login));
    let mut value = HeaderValue::try_from(basic).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_moved_from_the_url_to_a_sensitive_basic_header() {
        for (text, login) in [
            ("https://user:pw@host/hook", "user:pw"),
            ("https://user@host/hook", "user:"),
            ("https://:pw@host/hook", ":pw"),
            (
                "https://us%65r:p%40ss%3Aword%2F@host/hook",
                "user:p@ss:word/",
            ),
            ("https://jos%C3%A9:%C3%BC@host/hook", "jos\u{e9}:\u{fc}"),
        ] {
            let mut url = Url::parse(text).unwrap();
            let (name, value) = take_login(&mut url).unwrap().unwrap();
            assert_eq!(url.as_str(), "https://host/hook");
            assert_eq!(name, AUTHORIZATION);
            assert_eq!(value, format!("Basic {}", BASE64_STANDARD.encode(login)));
            assert!(value.is_sensitive());
        }
    }

    #[test]
    fn a_url_without_login_gets_no_header() {
        let mut url = Url::parse("https://host/@user:pw").unwrap();
        assert_eq!(take_login(&mut url).unwrap(), None);
        assert_eq!(url.as_str(), "https://host/@user:pw");
    }

    #[test]
    fn a_user_with_a_colon_is_rejected() {
        let mut url = Url::parse("https://us%3Aer:pw@host/").unwrap();
        assert!(matches!(take_login(&mut url), Err(LoginFault::ColonInUser)));
    }
}
