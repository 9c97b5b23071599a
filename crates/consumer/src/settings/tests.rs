use std::time::Duration;

use super::*;
use crate::ConsumerSettings;
use wahook_domain::{AutoRedrive, CircuitRule, RateLimit, Reach, RedriveRate, RetryRule};
use wahook_runtime::settings::shared::AMQP_URL;

const GOOD: [(&str, &str); 3] = [
    ("AMQP_URL", "amqp://127.0.0.1"),
    ("WEBHOOK_URL", "https://example.com/hook"),
    ("MONGODB_URI", "mongodb://127.0.0.1"),
];

fn read(pairs: &[(&'static str, &'static str)]) -> Result<ConsumerSettings, String> {
    let pairs = GOOD
        .iter()
        .chain(pairs)
        .copied()
        .collect::<std::collections::BTreeMap<_, _>>();
    let mut settings = Settings::from_pairs(pairs);
    let read = ConsumerSettings::read(&mut settings);
    settings.finish().map_err(|faults| faults.to_string())?;
    Ok(read.unwrap())
}

fn endpoint(settings: &ConsumerSettings) -> &EndpointSettings {
    &settings.delivery.endpoints.list[0]
}

#[test]
fn the_circuit_can_be_switched_off() {
    let settings = read(&[("WEBHOOK_CIRCUIT", "off")]).unwrap();
    assert_eq!(endpoint(&settings).circuit, None);
    let refused = read(&[("WEBHOOK_CIRCUIT", "maybe")]).unwrap_err();
    assert!(refused.contains("WEBHOOK_CIRCUIT"), "{refused}");
}

#[test]
fn a_single_endpoint_has_a_schedule_and_a_rate_limit() {
    let schedule = ("WEBHOOK_RETRY_SCHEDULE", "5s,5m,2h");
    let settings = read(&[schedule, ("WEBHOOK_RATE_LIMIT", "2.5")]).unwrap();
    let rule = endpoint(&settings).retry_rule;
    assert_eq!(rule, "5s,5m,2h".parse().unwrap());
    assert_eq!(endpoint(&settings).rate_limit, RateLimit::new(2.5));
    let refused = read(&[schedule, ("WEBHOOK_RETRY_DELAY", "5")]).unwrap_err();
    assert!(
        refused.contains("WEBHOOK_RETRY_DELAY is set together"),
        "{refused}"
    );
    let refused = read(&[("WEBHOOK_RETRY_SCHEDULE", "5"), ("WEBHOOK_RATE_LIMIT", "0")]);
    let refused = refused.unwrap_err();
    assert!(refused.contains("WEBHOOK_RETRY_SCHEDULE") && refused.contains("WEBHOOK_RATE_LIMIT"));
}

#[test]
fn a_single_endpoint_redrives_after_outages() {
    let period = ("WEBHOOK_AUTO_REDRIVE", "6h");
    let rate = ("WEBHOOK_AUTO_REDRIVE_RATE", "50");
    for (given, rate) in [(&[period][..], 10), (&[period, rate][..], 50)] {
        let settings = read(given).unwrap();
        let rule = AutoRedrive {
            period: "6h".parse().unwrap(),
            rate: RedriveRate::new(rate).unwrap(),
        };
        assert_eq!(endpoint(&settings).auto_redrive, Some(rule));
    }
    assert_eq!(endpoint(&read(&[]).unwrap()).auto_redrive, None);
    for (refused, expected) in [
        (&[rate][..], "is set without WEBHOOK_AUTO_REDRIVE"),
        (&[("WEBHOOK_AUTO_REDRIVE", "6")][..], "such as 6h"),
    ] {
        let refused = read(refused).unwrap_err();
        assert!(refused.contains(expected), "{refused}");
    }
}

#[test]
fn a_single_endpoint_together_with_a_file_is_rejected() {
    let refused = read(&[
        ("WEBHOOK_ENDPOINTS", "/no/such/file.toml"),
        ("WEBHOOK_SECRET", "s"),
    ])
    .unwrap_err();
    for expected in [
        "WEBHOOK_URL is set together with WEBHOOK_ENDPOINTS",
        "WEBHOOK_SECRET is set together with WEBHOOK_ENDPOINTS",
        "/no/such/file.toml line 1: the file can't be read",
    ] {
        assert!(
            refused.contains(expected),
            "{expected} is missing in:\n{refused}"
        );
    }
}

#[test]
fn three_variables_suffice_and_the_others_have_documented_defaults() {
    let settings = read(&[]).unwrap();
    assert_eq!(
        endpoint(&settings).retry_rule,
        RetryRule::new(3, 5_000).unwrap()
    );
    assert_eq!(endpoint(&settings).timeout, Duration::from_secs(30));
    assert!(endpoint(&settings).secrets.is_none());
    assert_eq!(endpoint(&settings).name.as_str(), "default");
    assert_eq!(endpoint(&settings).circuit, Some(CircuitRule::default()));
    assert_eq!(settings.log.database, "whatsapp-api");
    assert_eq!(settings.delivery.log_retention_days, None);
    assert_eq!(settings.delivery.listen.to_string(), "127.0.0.1:9091");
}

#[test]
fn all_faults_are_reported_at_once_with_variable_and_example() {
    let faults = read(&[
        ("AMQP_URL", "http://broker"),
        ("WEBHOOK_URL", "ftp://example.com"),
        ("MONGODB_URI", "localhost"),
        ("WEBHOOK_RETRY_ATTEMPTS", "11"),
        ("WEBHOOK_RETRY_DELAY", "soon"),
        ("WEBHOOK_SECRET_PREVIOUS", "old"),
        ("LOG_RETENTION_DAYS", "0"),
    ])
    .unwrap_err();
    for expected in [
        "AMQP_URL",
        AMQP_URL.example,
        "WEBHOOK_URL",
        "https://example.com/webhook",
        "MONGODB_URI",
        "mongodb://127.0.0.1:27017",
        "WEBHOOK_RETRY_ATTEMPTS",
        "WEBHOOK_RETRY_DELAY",
        "WEBHOOK_SECRET_PREVIOUS",
        "LOG_RETENTION_DAYS",
    ] {
        assert!(
            faults.contains(expected),
            "{expected} is missing in:\n{faults}"
        );
    }
}

#[test]
fn plain_http_needs_loopback_or_permission() {
    for url in [
        "http://127.0.0.1:4000/hook",
        "http://localhost/hook",
        "http://[::1]/hook",
    ] {
        assert!(read(&[("WEBHOOK_URL", url)]).is_ok(), "{url}");
    }
    let refused = read(&[("WEBHOOK_URL", "http://example.com/hook")]).unwrap_err();
    assert!(refused.contains("WEBHOOK_ALLOW_HTTP"), "{refused}");
    let allowed = [
        ("WEBHOOK_URL", "http://example.com/hook"),
        ("WEBHOOK_ALLOW_HTTP", "true"),
    ];
    assert!(read(&allowed).is_ok());
}

#[test]
fn a_blocked_private_address_is_rejected_at_start_in_any_notation() {
    for url in [
        "http://127.0.0.1:4000/hook",
        "https://10.0.0.1/hook",
        "https://169.254.169.254/latest",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::1]/",
        "https://[fd00::1]/",
        "https://[64:ff9b::10.0.0.1]/",
        "https://①⑦②.16.0.1/",
    ] {
        let allowed = [("WEBHOOK_URL", url), ("WEBHOOK_ALLOW_HTTP", "true")];
        let is_link_local = url.contains("169.254.");
        assert_eq!(read(&allowed).is_err(), is_link_local, "{url}");
        let blocked = [allowed[0], allowed[1], ("WEBHOOK_BLOCK_PRIVATE", "true")];
        let refused = read(&blocked).unwrap_err();
        assert!(
            refused.contains("WEBHOOK_BLOCK_PRIVATE"),
            "{url}: {refused}"
        );
    }
    for url in ["https://8.8.8.8/hook", "https://example.com/hook"] {
        let public = [("WEBHOOK_URL", url), ("WEBHOOK_BLOCK_PRIVATE", "true")];
        assert_eq!(endpoint(&read(&public).unwrap()).reach, Reach::Public);
    }
}

#[test]
fn a_metadata_service_is_rejected_in_any_notation_unless_allowed() {
    for url in [
        "http://169.254.169.254/latest",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://[fe80::1]/",
        "http://100.100.100.200/",
        "http://168.63.129.16/",
        "http://192.0.0.192/",
    ] {
        let given = [("WEBHOOK_URL", url), ("WEBHOOK_ALLOW_HTTP", "true")];
        let refused = read(&given).unwrap_err();
        assert!(
            refused.contains("WEBHOOK_ALLOW_LINK_LOCAL=true"),
            "{refused}"
        );
        let allowed = [given[0], given[1], ("WEBHOOK_ALLOW_LINK_LOCAL", "true")];
        assert_eq!(endpoint(&read(&allowed).unwrap()).reach, Reach::Everything);
    }
    let both = [
        ("WEBHOOK_ALLOW_LINK_LOCAL", "true"),
        ("WEBHOOK_BLOCK_PRIVATE", "true"),
    ];
    assert!(read(&both).unwrap_err().contains("keep one"));
}

#[test]
fn a_login_in_the_url_becomes_a_header_and_is_not_shown() {
    let settings = read(&[("WEBHOOK_URL", "https://user:hunter2@example.com/hook")]).unwrap();
    let endpoint = endpoint(&settings);
    assert_eq!(endpoint.url.as_str(), "https://example.com/hook");
    assert_eq!(&*endpoint.shown_url, "https://[redacted]@example.com/hook");
    assert_eq!(endpoint.headers["authorization"], "Basic dXNlcjpodW50ZXIy");
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert!(!format!("{settings:?}").contains("dXNlcjpodW50ZXIy"));
}

#[test]
fn a_text_that_is_no_url_is_rejected_without_quoting_it() {
    for text in [
        "user:hunter2@example.com/hook",
        "example.com/hook?token=hunter2",
        "https://user:hunter2@example.com:port/hook",
        "https//user:hunter2@example.com",
        "hunter2",
    ] {
        let refused = read(&[("WEBHOOK_URL", text)]).unwrap_err();
        assert!(refused.contains("WEBHOOK_URL is not a"), "{refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn a_hidden_url_is_shown_with_a_hash_also_in_the_effective_settings() {
    let given = [
        GOOD[0],
        GOOD[2],
        ("WEBHOOK_URL", "https://hooks.example/services/hunter2"),
        ("WEBHOOK_HIDE_URL", "true"),
    ];
    let mut settings = Settings::from_pairs(given);
    let read = ConsumerSettings::read(&mut settings).unwrap();
    let shown = &endpoint(&read).shown_url;
    assert!(
        shown.starts_with("https://hooks.example/sha256-"),
        "{shown}"
    );
    let effective = settings.finish().unwrap();
    let lines: Vec<_> = effective.iter().map(ToString::to_string).collect();
    assert!(lines.contains(&format!("WEBHOOK_URL={shown}")), "{lines:?}");
    assert!(!lines.concat().contains("hunter2"), "{lines:?}");
}
