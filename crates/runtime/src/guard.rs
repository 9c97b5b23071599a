//! Protection against web pages in a browser on this machine (pure).
//!
//! A listener without a password serves every client that reaches it. Web pages from other
//! hosts in a browser must not be such clients. They could reach a loopback address by a
//! host name of theirs that resolves to it (DNS rebinding), or by requests whose answers
//! they can't read.

use std::{fmt, net::IpAddr, str::FromStr};

use axum::http::{HeaderMap, StatusCode, header};

use crate::{ListenAddress, problem::Problem};

/// Reason for rejecting a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "use the IP address or localhost: another host name may belong to a foreign page (DNS rebinding)"
    )]
    Name,
    #[error("the request comes from another web page")]
    OtherPage,
}

/// Host names that may be used for a listener, in addition to `localhost` and IP addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts(Vec<String>);

/// Text that is not a list of host names.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a host name without scheme and port")]
pub struct InvalidHost(String);

/// Check of the requests to one listener.
#[derive(Debug, Clone)]
pub struct Guard {
    /// `None`: any host, because other machines reach the listener by a name.
    hosts: Option<AllowedHosts>,
    /// Name of the setting with the allowed hosts, for messages.
    setting: &'static str,
}

impl Guard {
    /// Creates the check for a listener. On a loopback address the `Host` header must be
    /// `localhost`, an IP address or allowed. `setting` names the setting of the allowed
    /// hosts.
    #[must_use]
    pub fn new(listen: ListenAddress, allowed: AllowedHosts, setting: &'static str) -> Self {
        Self {
            hosts: listen.is_loopback().then_some(allowed),
            setting,
        }
    }

    /// Checks that the request is not sent by a page of another host.
    ///
    /// A request without `Host` passes if it has no mark of a browser: only HTTP/1.0 can
    /// omit the header, which no browser speaks.
    ///
    /// # Errors
    /// The answer to a request of another page.
    pub fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let own = headers.contains_key(header::HOST).then(|| host(headers));
        self.admit_host(own)
            .and_then(|()| admit_sender(headers, own))
            .map_err(|refused| self.problem(&refused))
    }

    /// Checks only the host, for a page that other pages may link to.
    ///
    /// # Errors
    /// The answer to a request for another host.
    pub fn admit_link(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let own = headers.contains_key(header::HOST).then(|| host(headers));
        self.admit_host(own)
            .map_err(|refused| self.problem(&refused))
    }

    fn admit_host(&self, host: Option<&str>) -> Result<(), Refused> {
        match (&self.hosts, host) {
            (Some(allowed), Some(host)) if !is_local(host) && !allowed.contains(host) => {
                Err(Refused::Name)
            }
            _ => Ok(()),
        }
    }

    fn problem(&self, refused: &Refused) -> Problem {
        let title = "The request may come from another web page";
        let detail = match refused {
            Refused::Name => format!("{refused}; {} allows more names", self.setting),
            Refused::OtherPage => refused.to_string(),
        };
        Problem::new(StatusCode::FORBIDDEN, "foreign-page", title, detail)
    }
}

impl AllowedHosts {
    fn contains(&self, host: &str) -> bool {
        let name = without_port(host);
        self.0.iter().any(|known| name.eq_ignore_ascii_case(known))
    }
}

impl FromStr for AllowedHosts {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = text.split(',').map(|name| {
            let name = name.trim();
            let is_valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            if !name.is_empty() && name.bytes().all(is_valid) {
                Ok(name.to_owned())
            } else {
                Err(InvalidHost(name.to_owned()))
            }
        });
        names.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for AllowedHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

/// Returns the host if it is `localhost` or an IP address, which can't be rebound.
///
/// # Errors
/// When the host is missing or another name.
pub fn admit_host(headers: &HeaderMap) -> Result<&str, Refused> {
    let host = host(headers);
    if is_local(host) {
        Ok(host)
    } else {
        Err(Refused::Name)
    }
}

/// Checks the host as [`admit_host`] does, and rejects requests that a browser marks as
/// sent by another page.
///
/// # Errors
/// When the request is not from the own page.
pub fn admit_own_page(headers: &HeaderMap) -> Result<(), Refused> {
    admit_sender(headers, Some(admit_host(headers)?))
}

/// Rejects requests that a browser marks as sent by a page of a host other than `own`.
fn admit_sender(headers: &HeaderMap, own: Option<&str>) -> Result<(), Refused> {
    let is = |name: &str, right: &dyn Fn(&[u8]) -> bool| {
        headers
            .get_all(name)
            .iter()
            .all(|value| right(value.as_bytes()))
    };
    let own_origin = is("origin", &|origin| {
        // `https`: a proxy may end TLS.
        let host = origin
            .strip_prefix(b"http://")
            .or_else(|| origin.strip_prefix(b"https://"));
        host.zip(own)
            .is_some_and(|(host, own)| host.eq_ignore_ascii_case(own.as_bytes()))
    });
    let own_site = is("sec-fetch-site", &|site| {
        matches!(site, b"same-origin" | b"none")
    });
    if own_origin && own_site {
        Ok(())
    } else {
        Err(Refused::OtherPage)
    }
}

/// Returns the `Host` header; empty if it is missing or not ASCII.
fn host(headers: &HeaderMap) -> &str {
    let host = headers.get(header::HOST);
    host.and_then(|host| host.to_str().ok()).unwrap_or_default()
}

fn is_local(host: &str) -> bool {
    let name = without_port(host);
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests;
