//! Lengths of time, as an operator types them.

use std::{str::FromStr, time::Duration};

/// A length of time as people write it: `90s`, `30m`, `2h 30m`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(Duration);

/// A text that is no length of time.
#[derive(Debug, thiserror::Error)]
#[error("not a time such as 90s, 30m, 2h or 7d")]
pub struct InvalidAge;

impl FromStr for Age {
    type Err = InvalidAge;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let span: jiff::Span = text.parse().map_err(|_| InvalidAge)?;
        let duration = span
            .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
            .map_err(|_| InvalidAge)?;
        duration.try_into().map(Self).map_err(|_| InvalidAge)
    }
}

impl Age {
    /// The same as a duration.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90s", 90),
            ("30m", 1_800),
            ("2h 30m", 9_000),
            ("7d", 604_800),
        ] {
            let expected = Age(Duration::from_secs(seconds));
            assert_eq!(text.parse::<Age>().unwrap(), expected, "{text}");
        }
        for text in ["", "soon", "5", "-5m", "1x"] {
            assert!(text.parse::<Age>().is_err(), "{text}");
        }
    }
}
