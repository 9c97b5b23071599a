//! Inner tables of an endpoint: custom headers and the circuit breaker rule.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::{
    ops::{Range, RangeInclusive},
    time::Duration,
};
use toml::de::{DeTable, DeValue};
use wahook_domain::CircuitRule;

use wahook_runtime::settings::toml_table::Table;

/// Reserved headers: set by the system or part of a request's framing.
const RESERVED: [&str; 18] = [
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
/// Name prefixes of further reserved headers.
const RESERVED_PREFIXES: [&str; 2] = ["webhook-", "x-webhook-"];

/// Reads the custom headers.
pub(super) fn read_headers(table: &mut Table<'_, '_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let expected = "a table of strings, such as { \"X-Api-Key\" = \"…\" }";
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
                format_args!("headers: \"{name}\" is not a valid header name"),
            );
            continue;
        };
        let text = key.as_str();
        if RESERVED.contains(&text)
            || RESERVED_PREFIXES
                .iter()
                .any(|prefix| text.starts_with(prefix))
        {
            table.fault(&place, format_args!("headers: {name} is set by the system"));
            continue;
        }
        let parsed = HeaderValue::from_str(&value).ok();
        let Some(mut value) = parsed.filter(|_| value.is_ascii()) else {
            let problem = format!("headers: the value of {name} must be printable ASCII");
            table.fault(&place, problem);
            continue;
        };
        // Most likely an API key.
        value.set_sensitive(true);
        if headers.insert(key, value).is_some() {
            table.fault(&place, format_args!("headers: {name} is set twice"));
        }
    }
    headers
}

/// Reads the circuit breaker rule; `None` switches it off.
pub(super) fn read_circuit(table: &mut Table<'_, '_>) -> Option<CircuitRule> {
    let default = CircuitRule::default();
    let rule = match table
        .take("circuit")
        .map(|value| (value.span(), value.into_inner()))
    {
        None | Some((_, DeValue::Boolean(true))) => default,
        Some((_, DeValue::Boolean(false))) => return None,
        Some((place, DeValue::Table(fields))) => read_rule(table, &place, fields),
        Some((place, _)) => {
            table.fault(&place, "circuit must be true, false or a table");
            default
        }
    };
    Some(rule)
}

fn read_rule<'t>(
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
