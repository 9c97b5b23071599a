//! Validation of endpoint URLs.

use reqwest::Url;
use std::net::IpAddr;
use wahook_domain::is_public;
use wahook_runtime::settings::redact_url;

/// Kinds of URLs that the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// `WEBHOOK_ALLOW_HTTP`
    pub(crate) http: bool,
    /// Negation of `WEBHOOK_BLOCK_PRIVATE`.
    pub(crate) private: bool,
}

/// Parses a URL. The error continues a sentence that begins with the setting's name,
/// and contains no secret.
pub(super) fn read(text: &str, allowed: Allowed) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("which is not a valid URL ({error})"));
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
            "but plain http sends events unencrypted: \
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

/// Returns the host if it is an address in any notation, such as `0x7f.1` or
/// `2130706433`. Addresses are not looked up, so the resolver does not check them.
fn ip_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Domain(_) => None,
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
    }
}
