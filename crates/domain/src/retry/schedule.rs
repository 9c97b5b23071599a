//! Schedule of retries, written as a list of delays such as `5s,10s,5m,2h`.

use std::{fmt, str::FromStr};

use super::{InvalidRetryRule, RetryRule};

/// Longest delay of a schedule in milliseconds: a week.
const LONGEST_MS: u64 = 7 * 24 * 3_600_000;
/// Units of delays in milliseconds, longest first.
const UNITS: [(&str, u32); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl RetryRule {
    pub const SCHEDULE_FORM: &str = "1 to 10 delays of 1ms to 7d, such as 5s,10s,20s,5m,30m,2h,8h";
}

impl FromStr for RetryRule {
    type Err = InvalidRetryRule;

    /// Reads a schedule.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let delays: Option<Vec<u32>> = text.split(',').map(|delay| millis(delay.trim())).collect();
        let delays = delays.ok_or(InvalidRetryRule::Schedule)?;
        match u32::try_from(delays.len()) {
            Ok(retries) if retries <= Self::MAX_RETRIES => {
                Ok(Self::of(retries, delays.into_iter()))
            }
            _ => Err(InvalidRetryRule::Schedule),
        }
    }
}

/// Writes the delays as a schedule.
impl fmt::Display for RetryRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let delays = self.delays.iter().take_while(|delay| **delay > 0);
        for (index, delay) in delays.enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}", Written(*delay))?;
        }
        Ok(())
    }
}

/// Time in milliseconds, written with its largest whole unit.
pub(crate) struct Written(pub(crate) u32);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(millis) = self;
        let fits = |(_, unit): &&(&str, u32)| millis.is_multiple_of(*unit);
        let (name, unit) = UNITS.iter().find(fits).copied().unwrap_or(("ms", 1));
        write!(f, "{}{name}", millis / unit)
    }
}

/// Reads a time of up to a week, such as `90s` or `6h`, as milliseconds.
pub(crate) fn millis(text: &str) -> Option<u32> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, name) = text.split_at_checked(digits)?;
    let (_, unit) = UNITS.iter().find(|(known, _)| *known == name)?;
    let millis = number.parse::<u64>().ok()?.checked_mul((*unit).into())?;
    let millis = (1..=LONGEST_MS).contains(&millis).then_some(millis)?;
    u32::try_from(millis).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_is_read_and_written() {
        let rule: RetryRule = "5s, 10s,20s,5m,30m,2h,8h".parse().unwrap();
        assert_eq!(rule.max_attempts(), 8);
        assert_eq!(rule.to_string(), "5s,10s,20s,5m,30m,2h,8h");
        assert_eq!("5s,10s,20s".parse(), RetryRule::new(3, 5_000));
        let longest: RetryRule = "1ms,1500ms,90s,7d".parse().unwrap();
        assert_eq!(longest.to_string(), "1ms,1500ms,90s,7d");
    }

    #[test]
    fn anything_else_is_rejected() {
        let many = ["1s"; 11].join(",");
        for text in [
            "", ",", "5", "s", "5s,", "0s", "-1s", "1.5s", "8d", "1w", "5S", &many,
        ] {
            assert_eq!(
                text.parse::<RetryRule>(),
                Err(InvalidRetryRule::Schedule),
                "{text:?}"
            );
        }
    }
}
