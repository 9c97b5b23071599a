use std::time::Duration;

use wahook_domain::{AttemptNumber, FailureCause, Outcome, RetryRule};
use wahook_runtime::metrics::render;

use super::*;

/// Returns true if the rendered metrics contain this sample.
fn has(registry: &Registry, sample: &str) -> bool {
    render(registry).lines().any(|line| line == sample)
}

fn endpoint(registry: &Registry) -> EndpointMetrics {
    let metrics = ConsumerMetrics::new(registry).unwrap();
    metrics.endpoint(&EndpointName::default())
}

#[test]
fn series_of_alerts_dashboards_and_common_outcomes_exist_from_the_start() {
    let registry = Registry::new();
    let _metrics = endpoint(&registry);
    let families = registry.gather();
    let names: Vec<&str> = families.iter().map(|family| family.name()).collect();
    assert_eq!(
        names,
        [
            "wahook_attempts_total",
            "wahook_broker_blocked",
            "wahook_broker_blocked_total",
            "wahook_circuit_open",
            "wahook_circuit_opened_total",
            "wahook_connection_up",
            "wahook_deliveries_in_flight",
            "wahook_deliveries_total",
            "wahook_delivery_limit",
            "wahook_endpoint_paused",
            "wahook_events_redelivered_total",
            "wahook_log_available",
            "wahook_log_lag_seconds",
            "wahook_log_results_pending",
            "wahook_log_results_total",
            "wahook_log_write_errors_total",
            "wahook_log_write_seconds",
            "wahook_poison_messages_total",
            "wahook_reconnects_total",
            "wahook_reloads_total",
        ]
    );
    for series in [
        "wahook_attempts_total{attempt=\"1\",endpoint=\"default\",outcome=\"timeout\"}",
        "wahook_connection_up{connection=\"consume\"}",
        "wahook_connection_up{connection=\"publish\"}",
        "wahook_deliveries_total{endpoint=\"default\",result=\"dead_lettered\"}",
        "wahook_events_redelivered_total{action=\"skipped\",endpoint=\"default\"}",
        "wahook_circuit_open{endpoint=\"default\"}",
        "wahook_endpoint_paused{endpoint=\"default\"}",
        "wahook_reloads_total{result=\"refused\"}",
        "wahook_log_results_total{path=\"drained\"}",
    ] {
        assert!(has(&registry, &format!("{series} 0")), "{series}");
    }
}

#[test]
fn every_outcome_has_a_series_of_its_own() {
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
            fault: None,
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
    let endpoint = endpoint(&registry);
    for outcome in &outcomes {
        endpoint.attempted(outcome, AttemptNumber::FIRST, Duration::from_millis(7));
        let label = outcome.label();
        let series = format!(
            "wahook_attempts_total{{attempt=\"1\",endpoint=\"default\",outcome=\"{label}\"}}"
        );
        assert!(has(&registry, &format!("{series} 1")), "{series}");
    }
    let durations = "wahook_attempt_duration_seconds_count{endpoint=\"default\"} 15";
    assert!(has(&registry, durations));
}

#[test]
fn series_of_a_hundred_endpoints_in_use_are_fewer_than_five_thousand() {
    let registry = Registry::new();
    let metrics = ConsumerMetrics::new(&registry).unwrap();
    let series = || {
        let text = render(&registry);
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    let rule = RetryRule::new(10, 5000).unwrap();
    let endpoints: Vec<EndpointMetrics> = (0..100)
        .map(|number| {
            metrics.endpoint(&EndpointName::parse(&format!("endpoint-{number}")).unwrap())
        })
        .collect();
    assert!(series() < 1_400, "{}", series());
    for endpoint in &endpoints {
        fails_and_is_delivered(endpoint, &rule, 0);
        fails_and_is_delivered(endpoint, &rule, 2);
        endpoint.dead_lettered();
        // A pause.
        endpoint.republished();
        endpoint.probed(false);
        endpoint.probed(true);
    }
    assert!(series() < 5_000, "{}", series());
}

#[test]
fn series_of_a_hundred_endpoints_that_used_all_ten_retries_are_fewer_than_five_thousand() {
    let registry = Registry::new();
    let metrics = ConsumerMetrics::new(&registry).unwrap();
    let rule = RetryRule::new(10, 5000).unwrap();
    for number in 0..100 {
        let name = EndpointName::parse(&format!("endpoint-{number}")).unwrap();
        let endpoint = metrics.endpoint(&name);
        for failures in [0, 2, 10] {
            fails_and_is_delivered(&endpoint, &rule, failures);
        }
    }
    let text = render(&registry);
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    assert!(series < 5_000, "{series}");
    for (label, count) in [
        (
            "wahook_attempts_total{attempt=\"4\",endpoint=\"endpoint-7\",outcome=\"status_5xx\"}",
            1,
        ),
        (
            "wahook_attempts_total{attempt=\"more\",endpoint=\"endpoint-7\",outcome=\"status_5xx\"}",
            6,
        ),
        (
            "wahook_attempts_total{attempt=\"more\",endpoint=\"endpoint-7\",outcome=\"delivered\"}",
            1,
        ),
        (
            "wahook_retries_scheduled_total{delay=\"20000\",endpoint=\"endpoint-7\"}",
            1,
        ),
        (
            "wahook_retries_scheduled_total{delay=\"more\",endpoint=\"endpoint-7\"}",
            7,
        ),
    ] {
        assert!(has(&registry, &format!("{label} {count}")), "{label}");
    }
}

#[test]
fn series_of_a_lane_exist_once_they_were_above_0() {
    let registry = Registry::new();
    let metrics = ConsumerMetrics::new(&registry).unwrap();
    let lane = metrics.lane(&EndpointName::default(), 0);
    let count = || render(&registry).matches("\nwahook_lane_").count();
    lane.own(false);
    lane.show(0, 0, 0, 0);
    assert_eq!(count(), 0);
    lane.own(true);
    lane.show(2, 1, 0, 0);
    assert_eq!(count(), 3);
    lane.own(false);
    lane.show(0, 0, 0, 0);
    assert_eq!(count(), 3);
    assert!(has(
        &registry,
        "wahook_lane_owned{endpoint=\"default\",lane=\"0\"} 0"
    ));
}

/// Records an event that is delivered after this number of failures.
fn fails_and_is_delivered(endpoint: &EndpointMetrics, rule: &RetryRule, failures: usize) {
    endpoint.first_begun(Duration::ZERO);
    let mut attempt = AttemptNumber::FIRST;
    for step in rule.wait_steps().iter().take(failures) {
        let outcome = Outcome::Answered {
            status: 500,
            retry_after: None,
        };
        endpoint.attempted(&outcome, attempt, Duration::ZERO);
        endpoint.retry_scheduled(attempt, *step);
        attempt = attempt.next();
    }
    let delivered = Outcome::Delivered { status: 200 };
    endpoint.attempted(&delivered, attempt, Duration::ZERO);
    endpoint.delivered(Duration::ZERO);
}

#[test]
fn rare_counters_of_an_endpoint_exist_once_they_count() {
    let registry = Registry::new();
    let endpoint = endpoint(&registry);
    endpoint.probed(true);
    endpoint.probed(false);
    endpoint.republished();
    endpoint.filtered();
    for series in [
        "wahook_probes_total{endpoint=\"default\",result=\"delivered\"}",
        "wahook_probes_total{endpoint=\"default\",result=\"failed\"}",
        "wahook_events_put_back_total{endpoint=\"default\"}",
        "wahook_events_filtered_total{endpoint=\"default\"}",
    ] {
        assert!(has(&registry, &format!("{series} 1")), "{series}");
    }
}

#[test]
fn high_attempt_numbers_share_one_series() {
    let registry = Registry::new();
    let endpoint = endpoint(&registry);
    for number in [5, 6, u32::MAX] {
        let number = AttemptNumber::new(number).unwrap();
        endpoint.attempted(&Outcome::Delivered { status: 200 }, number, Duration::ZERO);
    }
    let more =
        "wahook_attempts_total{attempt=\"more\",endpoint=\"default\",outcome=\"delivered\"} 3";
    assert!(has(&registry, more));
}

#[test]
fn timed_out_attempt_is_counted_above_the_time_limit() {
    let registry = Registry::new();
    let endpoint = endpoint(&registry);
    let timed_out = Outcome::TimedOut {
        limit: Duration::from_secs(30),
    };
    endpoint.attempted(
        &timed_out,
        AttemptNumber::FIRST,
        Duration::from_millis(30_004),
    );
    for (limit, count) in [("30", 0), ("+Inf", 1)] {
        let bucket = format!(
            "wahook_attempt_duration_seconds_bucket{{endpoint=\"default\",le=\"{limit}\"}} {count}"
        );
        assert!(has(&registry, &bucket), "{bucket}");
    }
}

#[test]
fn deliveries_and_retries_are_counted_for_their_endpoint() {
    let registry = Registry::new();
    let endpoint = endpoint(&registry);
    endpoint.delivered(Duration::from_millis(35_100));
    endpoint.dead_lettered();
    endpoint.first_begun(Duration::from_secs(61));
    let rule = RetryRule::new(3, 5000).unwrap();
    endpoint.retry_scheduled(AttemptNumber::FIRST, rule.wait_steps()[0]);
    for series in [
        "wahook_deliveries_total{endpoint=\"default\",result=\"delivered\"}",
        "wahook_deliveries_total{endpoint=\"default\",result=\"dead_lettered\"}",
        "wahook_delivery_end_to_end_seconds_bucket{endpoint=\"default\",le=\"60\"}",
        "wahook_queue_wait_seconds_bucket{endpoint=\"default\",le=\"300\"}",
        "wahook_retries_scheduled_total{delay=\"5000\",endpoint=\"default\"}",
    ] {
        assert!(has(&registry, &format!("{series} 1")), "{series}");
    }
}

#[test]
fn series_of_parked_keys_exists_while_there_are_some_and_is_removed_once() {
    let registry = Registry::new();
    let metrics = ConsumerMetrics::new(&registry).unwrap();
    let [owner, other] = [(); 2].map(|()| metrics.lane(&EndpointName::default(), 3));
    let series = "wahook_lane_parked_keys{endpoint=\"default\",lane=\"3\"} 1";
    let is_shown = || render(&registry).contains("wahook_lane_parked_keys{");
    other.show(0, 0, 0, 1);
    assert!(has(&registry, series));
    // The series of a former owner.
    owner.show(0, 0, 0, 0);
    assert!(!is_shown());
    other.show(0, 0, 0, 1);
    owner.show(0, 0, 0, 0);
    assert!(has(&registry, series), "removed again without a change");
    for (keys, expected) in [(1, true), (0, false), (2, true), (0, false)] {
        owner.show(0, 0, 0, keys);
        assert_eq!(is_shown(), expected, "{keys}");
    }
}
