//! Protection of the page against other web pages (pure).
//!
//! The page has no password: every client that reaches the address may read it. Web pages
//! from other hosts in the same browser must not. They could reach 127.0.0.1 by a host name
//! of theirs that resolves to it (DNS rebinding), or by requests whose answers they can't
//! read.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

/// Reason for rejecting a request to the page's own paths.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error(
        "use the IP address or localhost: another host name may belong to a foreign page (DNS rebinding)"
    )]
    Name,
    #[error("the request comes from another web page")]
    OtherPage,
}

/// Returns the host if it is `localhost` or an IP address, which can't be rebound.
pub(crate) fn admit_host(headers: &HeaderMap) -> Result<&str, Refused> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.ok_or(Refused::Name)?;
    let name = without_port(host);
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    if name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok() {
        Ok(host)
    } else {
        Err(Refused::Name)
    }
}

/// Checks the host as [`admit_host`] does, and rejects requests that a browser marks as
/// sent by another page.
pub(crate) fn admit_own_page(headers: &HeaderMap) -> Result<(), Refused> {
    let host = admit_host(headers)?;
    let is = |name: &str, right: &dyn Fn(&[u8]) -> bool| {
        headers
            .get_all(name)
            .iter()
            .all(|value| right(value.as_bytes()))
    };
    let own = format!("http://{host}");
    let own_origin = is("origin", &|origin| {
        origin.eq_ignore_ascii_case(own.as_bytes())
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

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (
                name.parse::<header::HeaderName>().unwrap(),
                value.parse().unwrap(),
            )
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn only_addresses_and_localhost_are_admitted() {
        for host in [
            "127.0.0.1:4000",
            "127.0.0.1",
            "[::1]:4000",
            "[::1]",
            "LocalHost:4000",
            "10.0.0.7:80",
        ] {
            assert_eq!(admit_host(&headers(&[("host", host)])), Ok(host));
        }
        for host in [
            "evil.example:4000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            ":4000",
            "127.0.0.1:4000:x",
        ] {
            assert_eq!(
                admit_host(&headers(&[("host", host)])),
                Err(Refused::Name),
                "{host}"
            );
        }
        assert_eq!(admit_host(&HeaderMap::new()), Err(Refused::Name));
    }

    #[test]
    fn only_requests_of_the_own_page_are_admitted() {
        let host = ("host", "127.0.0.1:4000");
        for right in [
            vec![host],
            vec![
                host,
                ("origin", "http://127.0.0.1:4000"),
                ("sec-fetch-site", "same-origin"),
            ],
            vec![host, ("sec-fetch-site", "none")],
        ] {
            assert_eq!(admit_own_page(&headers(&right)), Ok(()), "{right:?}");
        }
        for wrong in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("origin", "http://127.0.0.1:4001"),
            ("origin", "http://localhost:4000"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let refused = admit_own_page(&headers(&[host, wrong]));
            assert_eq!(refused, Err(Refused::OtherPage), "{wrong:?}");
        }
        let renamed = [("host", "evil.example"), ("origin", "http://evil.example")];
        assert_eq!(admit_own_page(&headers(&renamed)), Err(Refused::Name));
    }
}
