use std::collections::{BTreeMap, BTreeSet};

use prometheus::IntGauge;

use super::*;

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

#[test]
fn shared_metrics_are_well_formed_and_complete_from_the_start() {
    let registry = Registry::new();
    let _process = ProcessMetrics::new(&registry, "wahook-producer").unwrap();
    let _broker = BrokerMetrics::new(&registry).unwrap();
    let types = check_format(&render(&registry));
    let names: Vec<&str> = types.keys().map(String::as_str).collect();
    let own: Vec<_> = names
        .iter()
        .filter(|name| !name.starts_with("process_"))
        .collect();
    assert_eq!(
        own,
        [
            &"wahook_broker_blocked",
            &"wahook_broker_blocked_total",
            &"wahook_build_info",
            &"wahook_connection_up",
            &"wahook_reconnects_total",
        ]
    );
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("wahook_build_info{{program=\"wahook-producer\",version=\"{version}\"}}");
    assert_eq!(value(&registry, &build), Some(1.0));
    assert!(value(&registry, "process_resident_memory_bytes").unwrap() > 0.0);
}

#[test]
fn reconnects_count_from_the_second_connection_on() {
    let registry = Registry::new();
    let metrics = BrokerMetrics::new(&registry).unwrap();
    let consume = metrics.consume();
    let reconnects = "wahook_reconnects_total{connection=\"consume\"}";
    let up = "wahook_connection_up{connection=\"consume\"}";
    for (is_up, made, expected) in [
        (false, 0, 0.0),
        (true, 1, 0.0),
        (false, 1, 0.0),
        (true, 3, 2.0),
        (true, 3, 2.0),
    ] {
        consume.observe(is_up, made);
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
    let metrics = BrokerMetrics::new(&registry).unwrap();
    for blocked in [false, true, true, false, true] {
        metrics.set_blocked(blocked);
    }
    assert_eq!(value(&registry, "wahook_broker_blocked"), Some(1.0));
    assert_eq!(value(&registry, "wahook_broker_blocked_total"), Some(2.0));
}

#[test]
fn in_flight_gauge_is_decremented_when_the_holder_panics() {
    let gauge = IntGauge::new("in_flight", "holders").unwrap();
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
    assert!(BrokerMetrics::new(&registry).is_ok());
    assert!(BrokerMetrics::new(&registry).is_err());
}
