use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use wahook_domain::{AttemptNumber, EndpointName, FailureCause, Outcome, RetryRule};

use super::*;

fn consumer(registry: &Registry) -> (ConsumerMetrics, EndpointMetrics) {
    let metrics = ConsumerMetrics::new(registry).unwrap();
    let endpoint = metrics.endpoint(&EndpointName::default(), &RetryRule::new(3, 5000).unwrap());
    (metrics, endpoint)
}

/// Returns the value of a sample by its rendered name and labels.
fn value(registry: &Registry, series: &str) -> Option<f64> {
    let text = render(registry);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

/// Checks the text format line by line and returns the type of each family.
fn check_format(text: &str) -> BTreeMap<String, String> {
    assert!(text.ends_with('\n'));
    let (mut helped, mut types, mut series) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(help.len() > 10 && !help.starts_with(' '), "{line}");
            assert!(helped.insert(name.to_owned()), "two HELP lines: {line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(helped.contains(name), "no HELP before: {line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(
                types.insert(name.to_owned(), kind.to_owned()),
                None,
                "{line}"
            );
        } else {
            let (name_and_labels, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap();
            assert!(series.insert(name_and_labels), "twice: {line}");
            check_series(name_and_labels, &types);
        }
    }
    types
}

fn check_series(series: &str, types: &BTreeMap<String, String>) {
    let (name, labels) = series
        .split_once('{')
        .map_or((series, ""), |(name, labels)| {
            (name, labels.strip_suffix('}').unwrap())
        });
    let ends = ["", "_bucket", "_sum", "_count"];
    let family = ends
        .iter()
        .find_map(|end| types.get_key_value(name.strip_suffix(end)?));
    let (family, kind) = family.unwrap_or_else(|| panic!("no TYPE before {series}"));
    assert_eq!(family == name, kind != "histogram", "{series}");
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (key, value) = label.split_once("=\"").unwrap();
        assert!(
            key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
            "{series}"
        );
        assert!(value.ends_with('"'), "{series}");
    }
}

fn check_names(types: &BTreeMap<String, String>) {
    for (name, kind) in types {
        assert!(
            name.starts_with("wahook_") || name.starts_with("process_"),
            "{name}"
        );
        assert_eq!(
            name.ends_with("_total"),
            kind == "counter",
            "{name} is a {kind}"
        );
        assert!(kind != "histogram" || name.ends_with("_seconds"), "{name}");
    }
}

#[test]
fn producer_metrics_are_well_formed_and_complete_from_the_start() {
    let registry = Registry::new();
    let _metrics = ProducerMetrics::new(&registry).unwrap();
    let types = check_format(&render(&registry));
    check_names(&types);
    let names: Vec<&str> = types.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "wahook_batches_total",
            "wahook_broker_blocked",
            "wahook_broker_blocked_total",
            "wahook_connection_up",
            "wahook_event_warnings_total",
            "wahook_events_accepted_total",
            "wahook_events_duplicate_total",
            "wahook_events_refused_total",
            "wahook_events_unwanted_total",
            "wahook_publish_confirm_seconds",
            "wahook_reconnects_total",
            "wahook_requests_in_flight",
        ]
    );
    for reason in RefusalReason::ALL {
        let series = format!(
            "wahook_events_refused_total{{reason=\"{}\"}}",
            reason.label()
        );
        assert_eq!(value(&registry, &series), Some(0.0), "{series}");
    }
}

#[test]
fn consumer_metrics_are_well_formed_and_complete_from_the_start() {
    let registry = Registry::new();
    let _metrics = consumer(&registry);
    let types = check_format(&render(&registry));
    check_names(&types);
    let names: Vec<&str> = types.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "wahook_attempt_duration_seconds",
            "wahook_attempts_total",
            "wahook_broker_blocked",
            "wahook_broker_blocked_total",
            "wahook_circuit_open",
            "wahook_circuit_opened_total",
            "wahook_connection_up",
            "wahook_deliveries_in_flight",
            "wahook_deliveries_total",
            "wahook_delivery_end_to_end_seconds",
            "wahook_delivery_limit",
            "wahook_events_put_back_total",
            "wahook_events_redelivered_total",
            "wahook_log_available",
            "wahook_log_lag_seconds",
            "wahook_log_results_pending",
            "wahook_log_results_total",
            "wahook_log_write_errors_total",
            "wahook_log_write_seconds",
            "wahook_poison_messages_total",
            "wahook_probes_total",
            "wahook_queue_wait_seconds",
            "wahook_reconnects_total",
            "wahook_reloads_total",
            "wahook_retries_scheduled_total",
        ]
    );
    for series in [
        "wahook_attempts_total{attempt=\"4\",endpoint=\"default\",outcome=\"timeout\"}",
        "wahook_connection_up{connection=\"consume\"}",
        "wahook_connection_up{connection=\"publish\"}",
        "wahook_deliveries_total{endpoint=\"default\",result=\"dead_lettered\"}",
        "wahook_events_redelivered_total{action=\"skipped\",endpoint=\"default\"}",
        "wahook_circuit_open{endpoint=\"default\"}",
        "wahook_probes_total{endpoint=\"default\",result=\"failed\"}",
        "wahook_reloads_total{result=\"refused\"}",
        "wahook_log_results_total{path=\"drained\"}",
        "wahook_retries_scheduled_total{delay=\"5000\",endpoint=\"default\"}",
        "wahook_retries_scheduled_total{delay=\"300000\",endpoint=\"default\"}",
    ] {
        assert_eq!(value(&registry, series), Some(0.0), "{series}");
    }
}

#[test]
fn build_info_names_program_and_version() {
    let registry = Registry::new();
    let _process = ProcessMetrics::new(&registry, "wahook-producer").unwrap();
    check_names(&check_format(&render(&registry)));
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("wahook_build_info{{program=\"wahook-producer\",version=\"{version}\"}}");
    assert_eq!(value(&registry, &build), Some(1.0));
    assert!(value(&registry, "process_resident_memory_bytes").unwrap() > 0.0);
}

#[test]
fn every_outcome_counts_in_a_series_that_exists_from_the_start() {
    let causes = [
        FailureCause::Dns,
        FailureCause::ConnectionRefused,
        FailureCause::ConnectionReset,
        FailureCause::Connect,
        FailureCause::Tls,
        FailureCause::Protocol,
        FailureCause::Body,
        FailureCause::Blocked,
        FailureCause::Other,
    ];
    let mut outcomes = vec![
        Outcome::Delivered { status: 200 },
        Outcome::Answered {
            status: 404,
            retry_after: None,
        },
        Outcome::Answered {
            status: 503,
            retry_after: None,
        },
        Outcome::Answered {
            status: 600,
            retry_after: None,
        },
        Outcome::Redirected {
            status: 302,
            location: None,
        },
        Outcome::TimedOut {
            limit: Duration::from_secs(30),
        },
    ];
    outcomes.extend(causes.map(|cause| Outcome::Failed {
        cause,
        detail: String::new(),
    }));

    let registry = Registry::new();
    let (_, endpoint) = consumer(&registry);
    let lines_before = render(&registry).lines().count();
    for outcome in &outcomes {
        endpoint.attempted(outcome, AttemptNumber::FIRST, Duration::from_millis(7));
        let label = outcome.label();
        let series = format!(
            "wahook_attempts_total{{attempt=\"1\",endpoint=\"default\",outcome=\"{label}\"}}"
        );
        assert_eq!(value(&registry, &series), Some(1.0), "{series}");
    }
    assert_eq!(render(&registry).lines().count(), lines_before);
    let durations = "wahook_attempt_duration_seconds_count{endpoint=\"default\"}";
    assert_eq!(value(&registry, durations), Some(15.0));
}

#[test]
fn high_attempt_numbers_share_one_series() {
    let registry = Registry::new();
    let (_, endpoint) = consumer(&registry);
    for number in [12, 13, u32::MAX] {
        let number = AttemptNumber::new(number).unwrap();
        endpoint.attempted(&Outcome::Delivered { status: 200 }, number, Duration::ZERO);
    }
    let more = "wahook_attempts_total{attempt=\"more\",endpoint=\"default\",outcome=\"delivered\"}";
    assert_eq!(value(&registry, more), Some(3.0));
}

#[test]
fn timed_out_attempt_is_counted_above_the_time_limit() {
    let registry = Registry::new();
    let (_, endpoint) = consumer(&registry);
    let timed_out = Outcome::TimedOut {
        limit: Duration::from_secs(30),
    };
    endpoint.attempted(
        &timed_out,
        AttemptNumber::FIRST,
        Duration::from_millis(30_004),
    );
    let bucket = |limit| {
        let series = format!(
            "wahook_attempt_duration_seconds_bucket{{endpoint=\"default\",le=\"{limit}\"}}"
        );
        value(&registry, &series)
    };
    assert_eq!((bucket("30"), bucket("35")), (Some(0.0), Some(1.0)));
}

#[test]
fn deliveries_and_retries_are_counted_for_their_endpoint() {
    let registry = Registry::new();
    let (_, endpoint) = consumer(&registry);
    endpoint.delivered(Duration::from_millis(35_100));
    endpoint.dead_lettered();
    endpoint.first_begun(Duration::from_secs(61));
    let rule = RetryRule::new(3, 5000).unwrap();
    endpoint.retry_scheduled(rule.wait_steps()[0]);
    for series in [
        "wahook_deliveries_total{endpoint=\"default\",result=\"delivered\"}",
        "wahook_deliveries_total{endpoint=\"default\",result=\"dead_lettered\"}",
        "wahook_delivery_end_to_end_seconds_bucket{endpoint=\"default\",le=\"40\"}",
        "wahook_queue_wait_seconds_bucket{endpoint=\"default\",le=\"120\"}",
        "wahook_retries_scheduled_total{delay=\"5000\",endpoint=\"default\"}",
    ] {
        assert_eq!(value(&registry, series), Some(1.0), "{series}");
    }
}

#[test]
fn reconnects_count_from_the_second_connection_on() {
    let registry = Registry::new();
    let (metrics, _) = consumer(&registry);
    let reconnects = "wahook_reconnects_total{connection=\"consume\"}";
    let up = "wahook_connection_up{connection=\"consume\"}";
    for (is_up, made, expected) in [
        (false, 0, 0.0),
        (true, 1, 0.0),
        (false, 1, 0.0),
        (true, 3, 2.0),
        (true, 3, 2.0),
    ] {
        metrics.consume.observe(is_up, made);
        assert_eq!(value(&registry, reconnects), Some(expected));
        assert_eq!(value(&registry, up), Some(f64::from(u8::from(is_up))));
    }
    assert_eq!(
        value(&registry, "wahook_reconnects_total{connection=\"publish\"}"),
        Some(0.0)
    );
}

#[test]
fn repeated_alarm_reports_count_once() {
    let registry = Registry::new();
    let metrics = ProducerMetrics::new(&registry).unwrap();
    for blocked in [false, true, true, false, true] {
        metrics.broker.set_blocked(blocked);
    }
    assert_eq!(value(&registry, "wahook_broker_blocked"), Some(1.0));
    assert_eq!(value(&registry, "wahook_broker_blocked_total"), Some(2.0));
}

#[test]
fn in_flight_gauge_is_decremented_when_the_holder_panics() {
    let registry = Registry::new();
    let (_, endpoint) = consumer(&registry);
    let gauge = endpoint.in_flight;
    let held = InFlightGuard::new(&gauge);
    assert_eq!(gauge.get(), 1);
    let ended = std::thread::spawn(move || {
        let _held = held;
        panic!("on purpose");
    });
    assert!(ended.join().is_err());
    assert_eq!(gauge.get(), 0);
}

#[test]
fn metrics_can_be_registered_only_once() {
    let registry = Registry::new();
    assert!(ProducerMetrics::new(&registry).is_ok());
    assert!(ProducerMetrics::new(&registry).is_err());
}
