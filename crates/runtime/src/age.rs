//! Durations as an operator types them.

use std::{str::FromStr, time::Duration};

/// Duration such as `90s`, `30m`, `2h 30m` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(Duration);

/// Text that is not a duration.
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
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_with_their_units() {
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
