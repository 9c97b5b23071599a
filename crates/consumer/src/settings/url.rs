//! Validation of endpoint URLs.

use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};
use std::{net::IpAddr, sync::Arc, time::Duration};
use wahook_domain::Reach;

use super::{
    login::take_login,
    shown_url::{hidden_url, shown_url},
};

/// Rules for all endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// `WEBHOOK_ALLOW_HTTP`
    pub(crate) http: bool,
    /// `WEBHOOK_BLOCK_PRIVATE` and `WEBHOOK_ALLOW_LINK_LOCAL`
    pub(crate) reach: Reach,
    /// `WEBHOOK_CONNECTION_AGE`
    pub(crate) connection_age: Duration,
}

/// Webhook of an endpoint.
#[derive(Debug)]
pub(super) struct Target {
    /// URL without login.
    pub(super) url: Url,
    /// Header with the login of the URL.
    pub(super) login: Option<(HeaderName, HeaderValue)>,
    /// URL without secrets.
    pub(super) shown: Arc<str>,
}

/// Parses a URL. With `hide` its path is a secret. The error continues a sentence that
/// begins with the setting's name, and contains no secret: a text that is no URL is not
/// quoted.
pub(super) fn read(text: &str, allowed: Allowed, hide: bool) -> Result<Target, String> {
    let mut url = Url::parse(text).map_err(|error| format!("is not a valid URL ({error})"))?;
    let Some(redacted) = shown_url(&url) else {
        return Err("is not a URL with a host: it must begin with https://".to_owned());
    };
    let shown: Arc<str> = if hide { hidden_url(&url) } else { redacted }.into();
    let quoted = |problem| format!("is \"{shown}\", {problem}");
    if let Some(fault) = fault_of(&url, allowed) {
        return Err(quoted(fault));
    }
    let login = take_login(&mut url).map_err(|fault| quoted(fault.to_string()))?;
    Ok(Target { url, login, shown })
}

fn fault_of(url: &Url, allowed: Allowed) -> Option<String> {
    match (url.scheme(), ip_address(url)) {
        (_, Some(address)) if !allowed.reach.permits(address) => Some(match allowed.reach {
            Reach::Public => {
                format!("but {address} is not a public address, and WEBHOOK_BLOCK_PRIVATE is true")
            }
            Reach::Private | Reach::Everything => format!(
                "but {address} is a link-local address or a metadata service: use another \
                 address, or set WEBHOOK_ALLOW_LINK_LOCAL=true"
            ),
        }),
        ("https", _) => None,
        ("http", _) if allowed.http || is_loopback(url) => None,
        ("http", _) => Some(
            "but plain http sends events unencrypted: \
             use https, or set WEBHOOK_ALLOW_HTTP=true"
                .to_owned(),
        ),
        (other, _) => Some(format!("but {other}: is neither https: nor http:")),
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match ip_address(url) {
        Some(address) => address.to_canonical().is_loopback(),
        None => url
            .domain()
            .is_some_and(|name| name.eq_ignore_ascii_case("localhost")),
    }
}

/// Returns the host if it is an address in any notation, such as `0x7f.1` or
/// `2130706433`. Addresses are not looked up, so the resolver does not check them.
fn ip_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Domain(_) => None,
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
    }
}
