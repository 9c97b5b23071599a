//! An endpoint's tables within its table: further headers, and the circuit's rule.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::{
    ops::{Range, RangeInclusive},
    time::Duration,
};
use toml::de::DeTable;
use wahook_domain::CircuitRule;

use super::toml_table::Table;

/// Headers that the system sets, or that say how a request is framed.
const OURS: [&str; 18] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];
/// What the names of others of ours begin with.
const OUR_PREFIXES: [&str; 2] = ["webhook-", "x-webhook-"];

/// What is sent beside ours.
pub(super) fn read_headers(table: &mut Table<'_, '_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let expected = "a table of texts, such as { \"X-Api-Key\" = \"…\" }";
    let given = table.read("headers", expected, |value| {
        let fields = value.as_table()?.iter();
        fields
            .map(|(name, value)| {
                let text = value.get_ref().as_str()?.to_owned();
                Some((name.get_ref().to_string(), text, name.span()))
            })
            .collect::<Option<Vec<_>>>()
    });
    for (name, value, place) in given.unwrap_or_default() {
        let Ok(key) = HeaderName::try_from(&name) else {
            table.fault(
                &place,
                format_args!("headers: \"{name}\" is no header's name"),
            );
            continue;
        };
        let text = key.as_str();
        if OURS.contains(&text) || OUR_PREFIXES.iter().any(|ours| text.starts_with(ours)) {
            table.fault(&place, format_args!("headers: {name} is set by the system"));
            continue;
        }
        let parsed = HeaderValue::from_str(&value).ok();
        let Some(mut value) = parsed.filter(|_| value.is_ascii()) else {
            let problem = format!("headers: the value of {name} must be printable ASCII");
            table.fault(&place, problem);
            continue;
        };
        // Most likely it is a key.
        value.set_sensitive(true);
        if headers.insert(key, value).is_some() {
            table.fault(&place, format_args!("headers: {name} is there twice"));
        }
    }
    headers
}

/// When the circuit opens, and how often it is probed.
pub(super) fn read_rule<'t>(
    table: &mut Table<'t, '_>,
    place: &Range<usize>,
    fields: DeTable<'t>,
) -> CircuitRule {
    const WINDOWS: RangeInclusive<u64> = 1_000..=3_600_000;
    const WAITS: RangeInclusive<u64> = 100..=3_600_000;
    let default = CircuitRule::default();
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut rule = table.within("circuit", place, fields);
    let failures = rule.whole("failures", default.failures, 1..=10_000);
    let window = rule.whole("window", millis(default.window), WINDOWS);
    let first = rule.whole("first_probe", millis(default.first_probe), WAITS);
    let longest = rule.whole("longest_probe", millis(default.longest_probe), WAITS);
    if longest < first {
        rule.fault(place, "longest_probe must not be shorter than first_probe");
    }
    rule.finish("failures, window, first_probe and longest_probe");
    CircuitRule {
        failures,
        window: Duration::from_millis(window),
        first_probe: Duration::from_millis(first),
        longest_probe: Duration::from_millis(longest),
    }
}
