//! Parser of the `Retry-After` header.

use std::time::{Duration, SystemTime};

use crate::time::UnixMillis;

/// Longest delay that a receiver can request.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// Parses the header's value, seconds or an HTTP date (RFC 9110, section
/// 10.2.3), capped at [`MAX_RETRY_AFTER`]. Returns `None` for any other value and
/// for a date before `now`.
#[must_use]
pub fn parse_retry_after(value: &str, now: UnixMillis) -> Option<Duration> {
    let value = value.trim_ascii();
    let requested = if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        until(httpdate::parse_http_date(value).ok()?, now)?
    } else {
        // A number that overflows is above the cap.
        value.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs)
    };
    Some(requested.min(MAX_RETRY_AFTER))
}

fn until(date: SystemTime, now: UnixMillis) -> Option<Duration> {
    let since_1970 = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let date = UnixMillis::new(since_1970.as_millis().try_into().ok()?);
    (date >= now).then(|| date.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tue, 01 Oct 2024 12:00:00 GMT
    const NOON: UnixMillis = UnixMillis::new(1_727_784_000_000);

    fn seconds(value: &str) -> Option<u64> {
        parse_retry_after(value, NOON).map(|requested| requested.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_read_up_to_an_hour() {
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds(" 120 "), Some(120));
        assert_eq!(seconds("3601"), Some(3_600));
        assert_eq!(seconds("1000000000000"), Some(3_600));
        assert_eq!(seconds("99999999999999999999999999"), Some(3_600));
        assert_eq!(seconds("Tue, 01 Oct 2024 12:00:30 GMT"), Some(30));
        assert_eq!(seconds("Tue, 01 Oct 2024 12:00:00 GMT"), Some(0));
        assert_eq!(seconds("Wed, 02 Oct 2024 12:00:00 GMT"), Some(3_600));
        assert_eq!(seconds("Tuesday, 01-Oct-24 12:00:30 GMT"), Some(30));
    }

    #[test]
    fn invalid_values_and_past_dates_are_ignored() {
        for value in [
            "",
            " ",
            "-1",
            "+1",
            "1.5",
            "1e3",
            "soon",
            "Tue, 01 Oct 2024 11:59:59 GMT",
        ] {
            assert_eq!(seconds(value), None, "{value:?}");
        }
    }
}
