use super::*;

fn parse(text: &str) -> BrokerUri {
    text.parse().unwrap()
}

/// Returns host, port and password of each host.
fn hosts(text: &str) -> Vec<(String, u16, String)> {
    let hosts = parse(text).hosts.into_iter();
    hosts
        .map(|uri| {
            let authority = uri.authority;
            (authority.host, authority.port, authority.userinfo.password)
        })
        .collect()
}

#[test]
fn an_address_is_shown_without_its_password() {
    for (text, shown) in [
        (
            "amqp://guest:hunter2@broker:5673/%2f",
            "amqp://guest@broker:5673//",
        ),
        (
            "amqp://app:hunter2@a,b:5673,[::1]/%2f",
            "amqp://app@a:5672,b:5673,[::1]:5672//",
        ),
        (
            "amqp://app:hunter2@a/%2f,amqps://ops:hunter2@b/%2f",
            "amqp://app@a:5672//,amqps://ops@b:5671//",
        ),
    ] {
        let uri = parse(text);
        assert_eq!(uri.to_string(), shown);
        assert!(!format!("{uri:?}").contains("hunter2"));
    }
}

#[test]
fn heartbeats_and_short_frames_are_requested_unless_the_address_sets_others() {
    for host in parse("amqp://broker,b").hosts {
        assert_eq!(host.query.heartbeat, Some(HEARTBEAT_SECONDS));
        assert_eq!(host.query.frame_max, Some(MAX_FRAME));
    }
    for host in parse("amqp://broker,b/%2f?heartbeat=30&frame_max=8192").hosts {
        assert_eq!(host.query.heartbeat, Some(30));
        assert_eq!(host.query.frame_max, Some(8192));
    }
}

#[test]
fn each_host_of_a_list_has_the_login_and_its_own_port() {
    let own = |host: &str, port, password: &str| (host.to_owned(), port, password.to_owned());
    assert_eq!(
        hosts("amqp://app:p,w@a:5673,b,[::1]:5674,c/%2f"),
        [
            own("a", 5673, "p,w"),
            own("b", 5672, "p,w"),
            own("::1", 5674, "p,w"),
            own("c", 5672, "p,w")
        ]
    );
    assert_eq!(
        hosts("amqp://u:x@a,amqps://u:y@b,c"),
        [
            own("a", 5672, "x"),
            own("b", 5671, "y"),
            own("c", 5671, "y")
        ]
    );
}

#[test]
fn commas_elsewhere_make_no_list() {
    let uri = parse("amqp://u:p,q@a/x,y");
    assert_eq!(uri.hosts.len(), 1);
    assert_eq!(uri.hosts[0].vhost, "x,y");
}

#[test]
fn an_invalid_broker_address_is_refused_without_quoting_it() {
    let scheme = "an address starts with amqp:// or amqps://";
    for (text, fault) in [
        ("http://broker", scheme),
        ("broker:5672", scheme),
        ("", scheme),
        ("hunter2:hunter2@broker", scheme),
        ("amqp://u:hunter2@a,,b", "host 2: it is empty"),
        ("amqp://u:hunter2@a,b,/%2f", "host 3: it is empty"),
        ("amqp://u:hunter2@,a", "host 1: it is empty"),
        (
            "amqp://u:hunter2@a:5672,b:x/%2f",
            "host 2: invalid port number",
        ),
        ("amqp://u:hunter2@a, b", "remove the spaces next to commas"),
        ("amqp://a,", "host 2: it is empty"),
        (
            "amqp://a/%2f,http://u:hunter2@b",
            "each address starts with amqp:// or amqps://",
        ),
        (
            "amqp://a/%2f?auth_mechanism=hunter2",
            "Invalid SASL mechanism",
        ),
        (
            "amqp://a/%2f,amqp://b/hunter2",
            "the addresses have different virtual hosts, but all must lead to the same queues",
        ),
    ] {
        let error = text.parse::<BrokerUri>().unwrap_err();
        assert_eq!(error.to_string(), fault, "{text}");
    }
}
