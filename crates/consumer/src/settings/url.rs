//! Which URLs may be called?

use reqwest::Url;
use std::net::IpAddr;
use wahook_domain::is_public;
use wahook_runtime::settings::redact_url;

/// A right value, for messages to people.
pub(super) const EXAMPLE: &str = "https://example.com/webhook";

/// What an operator allows of all URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// `WEBHOOK_ALLOW_HTTP`
    pub(crate) http: bool,
    /// `WEBHOOK_BLOCK_PRIVATE`, turned around.
    pub(crate) private: bool,
}

/// Reads a URL; the error completes the sentence that its setting's name
/// begins, and shows no secret.
pub(super) fn read(text: &str, allowed: Allowed) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("which is no URL ({error})"));
    let checked = url.and_then(|url| match fault_of(&url, allowed) {
        Some(fault) => Err(fault),
        None => Ok(url),
    });
    checked.map_err(|problem| format!("is \"{}\", {problem}", redact_url(text)))
}

fn fault_of(url: &Url, allowed: Allowed) -> Option<String> {
    match (url.scheme(), ip_address(url)) {
        (_, Some(address)) if !allowed.private && !is_public(address) => Some(format!(
            "but {address} is not a public address, and WEBHOOK_BLOCK_PRIVATE is true"
        )),
        ("https", _) => None,
        ("http", _) if allowed.http || is_loopback(url) => None,
        ("http", _) => Some(
            "but plain http carries events readable over the network: \
             use https, or set WEBHOOK_ALLOW_HTTP=true"
                .to_owned(),
        ),
        (other, _) => Some(format!("but {other}: is neither https: nor http:")),
    }
}
fn is_loopback(url: &Url) -> bool {
    match ip_address(url) {
        Some(address) => address.to_canonical().is_loopback(),
        None => url
            .domain()
            .is_some_and(|name| name.eq_ignore_ascii_case("localhost")),
    }
}

/// Where the host is an address: it is never looked up, so the resolver does
/// not see it. In whichever form it was written (`0x7f.1`, `2130706433`), the
/// URL's parser has made it one.
fn ip_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Domain(_) => None,
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
    }
}
