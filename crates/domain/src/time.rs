//! Moments as values: the domain never reads a clock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Moment in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(i64);

impl UnixMillis {
    #[must_use]
    pub const fn new(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns the milliseconds since the Unix epoch.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Returns the whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Formats the moment as JavaScript's `toISOString` does: `2024-10-01T12:00:00.000Z`.
    /// Moments before the year 1 or after 9999 are clamped.
    #[must_use]
    pub fn to_iso8601(self) -> String {
        let limit = |millis: i64| millis.clamp(-62_135_596_800_000, 253_402_207_200_000);
        let timestamp = Timestamp::from_millisecond(limit(self.0)).unwrap_or(Timestamp::UNIX_EPOCH);
        format!("{timestamp:.3}")
    }

    /// Adds `duration`, saturating at the last moment.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Subtracts `duration`, saturating at the first moment.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// Returns the time since `earlier`, or zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).try_into().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moment_is_formatted_as_in_javascript() {
        for (millis, text) in [
            (1_727_784_000_000, "2024-10-01T12:00:00.000Z"),
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
        ] {
            assert_eq!(UnixMillis::new(millis).to_iso8601(), text);
        }
        assert!(
            UnixMillis::new(i64::MAX)
                .to_iso8601()
                .starts_with("9999-12-30T")
        );
    }

    #[test]
    fn arithmetic_saturates_and_time_never_runs_backwards() {
        let (early, late) = (UnixMillis::new(1_000), UnixMillis::new(3_500));
        assert_eq!(late.since(early), Duration::from_millis(2_500));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.plus(Duration::MAX).get(), i64::MAX);
        assert_eq!(late.minus(Duration::from_millis(2_500)), early);
        assert_eq!(UnixMillis::new(-2).minus(Duration::MAX).get(), i64::MIN);
        assert_eq!(UnixMillis::new(-1).seconds(), -1);
    }
}
