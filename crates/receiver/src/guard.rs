//! Who may see and steer the page (pure).
//!
//! It has no password: whoever reaches the address may look. But a web page
//! from elsewhere that the same person has open must not, and it could reach
//! 127.0.0.1: by a name of its own that it makes point here (DNS rebinding),
//! or by sending requests blindly.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

/// Why a request to the page's own paths is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error(
        "open it by its address or as localhost: a name may have been made to point here by somebody else"
    )]
    Name,
    #[error("it comes from another web page")]
    OtherPage,
}

/// A name in `Host` could be anybody's; an IP address can't be rebound.
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

/// As [`admit_host`]; and a browser must say that our own page asks, where it
/// says anything.
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
    fn addresses_and_localhost_are_admitted_and_no_other_name() {
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
    fn only_our_own_page_may_steer() {
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
