use super::*;
use std::fs;
use wahook_domain::{
    AutoRedrive, CircuitRule, EventPattern, LaneCount, Lanes, Reach, RedriveRate, RetryRule, Secret,
};

use super::super::{
    endpoint::{Secrets, SignatureSecret},
    order::OnExhausted,
};

fn file() -> EndpointsFile {
    EndpointsFile {
        path: "/missing/endpoints.toml".into(),
        allowed: Allowed {
            http: false,
            reach: Reach::Private,
            connection_age: Duration::from_secs(60),
        },
        proxies: Proxies::default(),
        circuit: true,
    }
}

fn parse(text: &str) -> Result<Vec<EndpointSettings>, Vec<String>> {
    file()
        .parse(text)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

#[test]
fn a_name_and_a_url_suffice_and_the_other_fields_have_defaults() {
    let endpoints =
        parse("[[endpoint]]\nname = \"crm\"\nurl = \"https://crm.example/hook\"").unwrap();
    let [crm] = endpoints.as_slice() else {
        panic!("{endpoints:?}")
    };
    assert_eq!(crm.name.as_str(), "crm");
    assert_eq!(crm.events, [EventPattern::Every]);
    assert_eq!(crm.retry_rule, RetryRule::new(3, 5_000).unwrap());
    assert_eq!(crm.timeout, Duration::from_secs(30));
    assert_eq!(crm.concurrency, 128);
    assert_eq!((crm.rate_limit, crm.secrets.clone()), (None, None));
    assert!(crm.enabled && crm.headers.is_empty() && !crm.hide_url);
    assert_eq!(crm.circuit, Some(CircuitRule::default()));
}

#[test]
fn every_field_of_an_endpoint_is_read() {
    let endpoints = parse(
        r#"
        [[endpoint]]
        name = "crm"
        url = "https://crm.example/hook"
        hide_url = true
        events = ["message_*", "call", "call"]
        secret = "new"
        previous_secret = "old"
        signature_secret = "previous"
        retry_attempts = 10
        retry_delay = 1_000
        timeout = 100
        concurrency = 4096
        rate_limit = 0.5
        headers = { "X-Api-Key" = "k", Authorization = "Bearer t" }
        enabled = false
        circuit = { failures = 3, window = 1000, first_probe = 200, longest_probe = 400 }

        [[endpoint]]
        name = "archive"
        url = "http://127.0.0.1:9000/"
        rate_limit = 20
        circuit = false
        "#,
    )
    .unwrap();
    let [crm, archive] = endpoints.as_slice() else {
        panic!("{endpoints:?}")
    };
    let patterns: Vec<_> = crm.events.iter().map(ToString::to_string).collect();
    assert_eq!(patterns, ["call", "message_*"]);
    let secret = |text: &str| Secret::new(text.to_owned()).unwrap();
    let secrets = Secrets {
        current: secret("new"),
        previous: Some(secret("old")),
        of_body: SignatureSecret::Previous,
    };
    assert_eq!(crm.secrets, Some(secrets));
    assert_eq!(crm.retry_rule, RetryRule::new(10, 1_000).unwrap());
    assert_eq!(crm.timeout, Duration::from_millis(100));
    assert_eq!(crm.rate_limit, RateLimit::new(0.5));
    assert_eq!(crm.headers["x-api-key"], "k");
    assert!(!format!("{:?}", crm.headers).contains("Bearer"));
    assert!(!crm.enabled && crm.hide_url);
    let rule = CircuitRule {
        failures: 3,
        window: Duration::from_secs(1),
        first_probe: Duration::from_millis(200),
        longest_probe: Duration::from_millis(400),
    };
    assert_eq!(crm.circuit, Some(rule));
    assert_eq!(archive.rate_limit, RateLimit::new(20.0));
    assert_eq!(archive.circuit, None);
}

#[test]
fn a_schedule_replaces_number_and_delay_of_the_retries() {
    let with = |fields: &str| {
        let start = "[[endpoint]]\nname = \"crm\"\nurl = \"https://crm.example/hook\"";
        parse(&format!("{start}\n{fields}\n"))
    };
    let endpoints = with("retry_schedule = \"1m, 2h\"").unwrap();
    assert_eq!(endpoints[0].retry_rule, "1m,2h".parse().unwrap());
    let faults = with("retry_schedule = \"1m\"\nretry_delay = 5").unwrap_err();
    assert!(faults[0].contains("keep one"), "{faults:?}");
    let faults = with("retry_schedule = \"soon\"").unwrap_err();
    assert!(faults[0].contains("5s,10s"), "{faults:?}");
}

#[test]
fn an_endpoint_of_the_file_redrives_after_outages() {
    let with = |fields: &str| {
        let start = "[[endpoint]]\nname = \"crm\"\nurl = \"https://crm.example/hook\"";
        parse(&format!("{start}\n{fields}\n"))
    };
    let endpoints = with("auto_redrive = \"90m\"\nauto_redrive_rate = 5").unwrap();
    let rule = AutoRedrive {
        period: "90m".parse().unwrap(),
        rate: RedriveRate::new(5).unwrap(),
    };
    assert_eq!(endpoints[0].auto_redrive, Some(rule));
    assert_eq!(with("").unwrap()[0].auto_redrive, None);
    for (fields, expected) in [
        ("auto_redrive = 6", "1m to 7d"),
        ("auto_redrive = \"30s\"", "1m to 7d"),
        ("auto_redrive_rate = 5", "needs auto_redrive"),
        ("auto_redrive = \"6h\"\nauto_redrive_rate = 0", "1 to 1000"),
    ] {
        let faults = with(fields).unwrap_err();
        assert!(faults[0].contains(expected), "{faults:?}");
    }
}

#[test]
fn all_faults_are_reported_at_once_with_line_and_endpoint() {
    let text = r#"
colour = "red"
[[endpoint]]
name = "CRM"
url = "http://crm.example/hook"
events = ["message_*", "mess*", "Ready"]
secret = ""
retry_attempts = 11
retry_delay = "soon"
timeout = 5
concurrency = 0
rate_limit = -1
headers = { "X-Webhook-Event" = "x", "Content-Type" = "x", "a b" = "x", ok = "ü" }
enabled = "yes"
circuit = { failures = 0, first_probe = 1000, longest_probe = 500, probes = 1 }
retires = 3

[[endpoint]]
url = "ftp://x"
previous_secret = "old"
secret_file = "no-such-file"

[[endpoint]]
name = "bot"
previous_secret = "old"
[[endpoint]]
name = "bot"
url = "https://user:hunter2@bot.example"
headers = { authorization = "Bearer hunter2" }
"#;
    let faults = parse(text).unwrap_err();
    let expected = [
        "line 2: the file: unknown setting colour",
        "line 4: endpoint CRM: name must match [a-z0-9-]{1,32}",
        "line 5: endpoint CRM: url is \"http://crm.example/hook\", but plain http",
        "line 6: endpoint CRM: events: \"mess*\" may have a * only after one of _ . : -",
        "line 6: endpoint CRM: events: \"Ready\" must be an event's name",
        "line 7: endpoint CRM: secret: the secret is empty",
        "line 8: endpoint CRM: retry_attempts must be a whole number from 0 to 10",
        "line 9: endpoint CRM: retry_delay must be a whole number",
        "line 10: endpoint CRM: timeout must be",
        "line 11: endpoint CRM: concurrency must be",
        "line 12: endpoint CRM: rate_limit must be",
        "line 13: endpoint CRM: headers: X-Webhook-Event is set by the system",
        "line 13: endpoint CRM: headers: Content-Type is set by the system",
        "line 13: endpoint CRM: headers: \"a b\" is not a valid header name",
        "line 13: endpoint CRM: headers: the value of ok must be printable ASCII",
        "line 14: endpoint CRM: enabled must be true or false",
        "line 15: endpoint CRM: circuit: failures must be",
        "line 15: endpoint CRM: circuit: longest_probe must not be shorter",
        "line 15: endpoint CRM: circuit: unknown setting probes",
        "line 16: endpoint CRM: unknown setting retires; expected name, url",
        "line 18: endpoint 2: name is missing",
        "line 19: endpoint 2: url is \"ftp://x/\", but ftp:",
        "line 21: endpoint 2: secret_file is no-such-file, which can't be read",
        "line 23: endpoint bot: previous_secret is set without secret",
        "line 23: endpoint bot: url is missing",
        "line 27: endpoint bot: name is already used by another endpoint",
        "line 26: endpoint bot: url has credentials and headers has Authorization",
    ];
    for expected in expected {
        assert!(
            faults.iter().any(|fault| fault.starts_with(expected)),
            "{expected} is missing in:\n{}",
            faults.join("\n")
        );
    }
    assert_eq!(faults.len(), expected.len(), "{}", faults.join("\n"));
    assert!(!faults.join("\n").contains("hunter2"));
}

#[test]
fn endpoint_without_order_has_one_queue_or_the_given_number_of_shared_lanes() {
    let of = |more: &str| {
        let file = format!("[[endpoint]]\nname = \"crm\"\nurl = \"https://crm.example\"\n{more}");
        parse(&file).unwrap()[0].division()
    };
    let four = LaneCount::new(4).unwrap();
    assert_eq!(of(""), None);
    assert_eq!(of("lanes = 1"), None);
    assert_eq!(of("lanes = 4"), Some(Lanes::Shared(four)));
    assert_eq!(
        of("lanes = 4\norder = \"chat\""),
        Some(Lanes::Ordered(four))
    );
}

#[test]
fn endpoint_without_order_or_retries_holds_no_events() {
    let of = |more: &str| {
        parse(&format!(
            "[[endpoint]]\nname = \"crm\"\nurl = \"https://crm.example/hook\"\n\
             on_exhausted = \"hold\"\n{more}"
        ))
    };
    let lanes = of("order = \"chat\"").unwrap()[0].lanes.unwrap();
    assert_eq!(lanes.on_exhausted, OnExhausted::Hold);
    for (more, expected) in [
        ("", "on_exhausted is hold, but the endpoint has no order"),
        (
            "lanes = 4",
            "on_exhausted is hold, but the endpoint has no order",
        ),
        (
            "order = \"chat\"\nretry_attempts = 0",
            "on_exhausted is hold, but there are no retries",
        ),
    ] {
        let faults = of(more).unwrap_err();
        assert!(
            faults[0].contains("line 4") && faults[0].contains(expected),
            "{faults:?}"
        );
    }
}

#[test]
fn a_syntax_error_is_reported_with_its_line_among_other_faults() {
    let faults = parse("[[endpoint]]\nname = \"crm\"\nurl = \nretry_delay = 0\n").unwrap_err();
    assert!(
        faults.iter().any(|fault| fault.starts_with("line 3: ")),
        "{faults:?}"
    );
    assert!(
        faults.iter().any(|fault| fault.starts_with("line 4: ")),
        "{faults:?}"
    );
}

#[test]
fn a_file_without_endpoint_tables_is_rejected() {
    let none = ["line 1: the file has no [[endpoint]]"];
    assert_eq!(parse("").unwrap_err(), none);
    let faults = parse("[[endpoints]]\nname = \"a\"\n[endpoint]\nname = \"b\"").unwrap_err();
    let faults = faults.join("\n");
    assert!(
        faults.contains("line 1: the file: unknown setting endpoints"),
        "{faults}"
    );
    assert!(faults.contains("written as [[endpoint]]"), "{faults}");
}

#[test]
fn a_secret_is_read_from_a_file_next_to_the_endpoints_file() {
    let folder = std::env::temp_dir().join(format!("wahook-secrets-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("crm.secret"), "from a file\n").unwrap();
    let file = EndpointsFile {
        path: folder.join("endpoints.toml"),
        ..file()
    };
    let text =
        "[[endpoint]]\nname = \"crm\"\nurl = \"https://a.example\"\nsecret_file = \"crm.secret\"";
    let endpoints = file.parse(text).unwrap();
    let secret = Secret::new("from a file".to_owned()).unwrap();
    assert_eq!(endpoints[0].secrets.as_ref().unwrap().current, secret);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_circuit_of_all_endpoints_can_be_switched_off() {
    let off = EndpointsFile {
        circuit: false,
        ..file()
    };
    let text =
        "[[endpoint]]\nname = \"a\"\nurl = \"https://a.example\"\ncircuit = { failures = 5 }";
    assert_eq!(off.parse(text).unwrap()[0].circuit, None);
}

#[test]
fn tls_files_are_read_next_to_the_endpoints_file_and_their_faults_are_reported() {
    let folder = std::env::temp_dir().join(format!("wahook-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let other_key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["crm.example".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    fs::write(folder.join("other.pem"), other_key.serialize_pem()).unwrap();
    let file = EndpointsFile {
        path: folder.join("endpoints.toml"),
        ..file()
    };
    let parse = |fields: &str| {
        let start = "[[endpoint]]\nname = \"crm\"\nurl = \"https://crm.example\"\n";
        let parsed = file.parse(&format!("{start}{fields}"));
        parsed.map_err(|faults| faults.first().unwrap().to_string())
    };
    let all = "ca_file = \"cert.pem\"\nclient_cert_file = \"cert.pem\"\n\
               client_key_file = \"key.pem\"";
    let tls = parse(all).unwrap().remove(0).tls;
    assert_eq!(tls.authorities, Some(vec![certificate.der().clone()]));
    assert_eq!(tls.client.unwrap().chain, [certificate.der().clone()]);
    for (fields, fault) in [
        (
            "ca_file = \"missing.pem\"",
            "line 4: endpoint crm: ca_file is missing.pem, which can't be read",
        ),
        (
            "ca_file = \"key.pem\"",
            "line 4: endpoint crm: ca_file has no certificate in PEM format",
        ),
        (
            "client_cert_file = \"cert.pem\"",
            "line 1: endpoint crm: client_cert_file and client_key_file belong together",
        ),
        (
            "client_cert_file = \"cert.pem\"\nclient_key_file = \"cert.pem\"",
            "line 5: endpoint crm: client_key_file has no private key in PEM format",
        ),
        (
            "client_cert_file = \"cert.pem\"\nclient_key_file = \"other.pem\"",
            "line 1: endpoint crm: TLS can't be set up: ",
        ),
        (
            "ca_file = \"cert.pem\"\ninsecure_skip_verify = true",
            "line 1: endpoint crm: ca_file and insecure_skip_verify exclude each other",
        ),
    ] {
        let found = parse(fields).unwrap_err();
        assert!(found.starts_with(fault), "{found}");
    }
    fs::remove_dir_all(&folder).unwrap();
}
