//! Times as gateways write them.

use std::time::Duration;

use wahook_domain::{UnixMillis, json::Node};

use crate::member::{at, number, text};

/// A number from here on is a time in milliseconds: in seconds, it would be the year 5138.
const MILLIS_FROM: u64 = 100_000_000_000;

/// Returns the time at a path of members: a number of seconds or milliseconds, also as a text
/// or as a 64-bit number `{low, high}`, or an ISO 8601 text.
pub(crate) fn moment(node: &Node<'_>, path: &[&str]) -> Option<UnixMillis> {
    let value = at(node, path)?;
    let count = number(value, &[]).or_else(|| number(value, &["low"]));
    match count {
        Some(count) => of_number(count),
        None => {
            let time: jiff::Timestamp = text(value, &[])?.parse().ok()?;
            Some(UnixMillis::new(time.as_millisecond()))
        }
    }
}

/// Returns whole seconds since the Unix epoch, as in the documented form; 0 for no time.
pub(crate) fn seconds(moment: Option<UnixMillis>) -> Node<'static> {
    Node::Number(moment.map_or(0, UnixMillis::seconds) as f64)
}

fn of_number(count: f64) -> Option<UnixMillis> {
    // A duration is the way from a floating-point number to a whole one without a cast.
    let count = Duration::try_from_secs_f64(count).ok()?.as_secs();
    let millis = match count {
        MILLIS_FROM.. => count,
        _ => count * 1_000,
    };
    millis.try_into().ok().map(UnixMillis::new)
}

#[cfg(test)]
mod tests {
    use wahook_domain::json::parse;

    use super::*;

    #[test]
    fn times_of_gateways_are_read() {
        for (time, expected) in [
            ("1732780000", Some(1_732_780_000_000)),
            ("1732780000.9", Some(1_732_780_000_000)),
            ("\"1732780000\"", Some(1_732_780_000_000)),
            ("1732780000123", Some(1_732_780_000_123)),
            (
                "{\"low\":1732780000,\"high\":0,\"unsigned\":true}",
                Some(1_732_780_000_000),
            ),
            ("\"2024-11-28T07:46:40.123Z\"", Some(1_732_780_000_123)),
            ("\"2024-11-28T08:46:40+01:00\"", Some(1_732_780_000_000)),
            ("-1", None),
            ("1e300", None),
            ("\"soon\"", None),
            ("null", None),
            ("{}", None),
        ] {
            let body = format!("{{\"t\":{time}}}");
            let found = moment(&parse(body.as_bytes()).unwrap(), &["t"]);
            assert_eq!(found.map(UnixMillis::get), expected, "{time}");
        }
        assert_eq!(seconds(None), Node::Number(0.0));
    }
}
