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

fn guard(listen: &str, allowed: &str) -> Guard {
    let allowed = match allowed {
        "" => AllowedHosts::default(),
        list => list.parse().unwrap(),
    };
    Guard::new(listen.parse().unwrap(), allowed, "PRODUCER_ALLOWED_HOSTS")
}

#[test]
fn loopback_listener_admits_local_and_allowed_hosts_only() {
    let guard = guard("127.0.0.1:8080", "gateway.example, producer");
    for host in [
        "localhost:8080",
        "[::1]:8080",
        "Gateway.Example:80",
        "producer",
    ] {
        assert!(guard.admit(&headers(&[("host", host)])).is_ok(), "{host}");
    }
    assert!(guard.admit(&HeaderMap::new()).is_ok(), "HTTP/1.0");
    for host in ["evil.example", "x.gateway.example", ""] {
        assert!(guard.admit(&headers(&[("host", host)])).is_err(), "{host}");
    }
}

#[test]
fn reachable_listener_admits_any_host_but_no_other_page() {
    let guard = guard("0.0.0.0:9091", "");
    let host = ("host", "consumer:9091");
    assert!(guard.admit(&headers(&[host])).is_ok());
    for origin in ["http://consumer:9091", "https://consumer:9091"] {
        assert!(guard.admit(&headers(&[host, ("origin", origin)])).is_ok());
    }
    for mark in [
        ("origin", "http://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ] {
        assert!(guard.admit(&headers(&[host, mark])).is_err(), "{mark:?}");
        assert!(guard.admit(&headers(&[mark])).is_err(), "{mark:?}");
    }
}

#[test]
fn allowed_hosts_are_names_without_scheme_and_port() {
    for wrong in ["http://a", "a:80", "a,,b", "*", "a b"] {
        assert!(wrong.parse::<AllowedHosts>().is_err(), "{wrong}");
    }
    let hosts: AllowedHosts = "a.example, b-c".parse().unwrap();
    assert_eq!(hosts.to_string(), "a.example,b-c");
}
