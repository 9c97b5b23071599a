//! Rate limit: spaces the starts of deliveries evenly.

use std::{fmt, str::FromStr, time::Duration};

/// Lateness that the next start may make up for. Timers wake a little late;
/// without the tolerance, each delay would shift all later starts.
const TOLERANCE: Duration = Duration::from_millis(10);

/// Evenly spaced starts. Times are durations since any fixed moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    next: Duration,
}

/// Requests per second, 0.01 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit(f64);

impl Pace {
    /// Reserves the next start and returns its time. Unused time does not
    /// accumulate: after a pause, starts have the usual spacing.
    pub fn reserve(&mut self, now: Duration, interval: Duration) -> Duration {
        let slot = self.next.max(now.saturating_sub(TOLERANCE));
        self.next = slot.saturating_add(interval);
        slot.max(now)
    }

    /// Prevents starts before `moment`.
    pub fn hold_until(&mut self, moment: Duration) {
        self.next = self.next.max(moment);
    }
}

impl RateLimit {
    /// Form of a valid value.
    pub const FORM: &str = "a number of requests per second from 0.01 to 10000";

    /// Returns `None` for a value out of range.
    #[must_use]
    pub fn new(per_second: f64) -> Option<Self> {
        (0.01..=10_000.0)
            .contains(&per_second)
            .then_some(Self(per_second))
    }

    #[must_use]
    pub const fn per_second(self) -> f64 {
        self.0
    }

    /// Returns the time between two starts of one of `consumers` that share the limit.
    ///
    /// The interval is 6 % longer than necessary: requests that start evenly
    /// arrive less evenly, and the receiver counts arrivals.
    #[must_use]
    pub fn interval(self, consumers: u32) -> Duration {
        Duration::from_secs_f64(1.06 * f64::from(consumers.max(1)) / self.0)
    }
}

/// Text that is no rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {form}", form = RateLimit::FORM)]
pub struct InvalidRateLimit;

impl FromStr for RateLimit {
    type Err = InvalidRateLimit;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let per_second = text.parse().ok();
        per_second.and_then(Self::new).ok_or(InvalidRateLimit)
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn starts_are_spaced_evenly_and_idle_time_does_not_accumulate() {
        let mut pace = Pace::default();
        let now = Duration::from_secs(100);
        let interval = Duration::from_millis(50);
        let starts: Vec<_> = (0..3).map(|_| pace.reserve(now, interval)).collect();
        let spaced = [0, 40, 90].map(|ms| now + Duration::from_millis(ms));
        assert_eq!(starts, spaced);
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.reserve(later, interval), later);
        assert!(pace.reserve(later, interval) > later);
    }

    #[test]
    fn hold_prevents_starts_before_its_end() {
        let mut pace = Pace::default();
        pace.hold_until(SECOND);
        assert_eq!(pace.reserve(Duration::ZERO, SECOND), SECOND);
    }

    #[test]
    fn a_limit_is_shared_evenly() {
        let limit = RateLimit::new(20.0).unwrap();
        assert_eq!(limit.interval(1), Duration::from_secs_f64(0.053));
        assert_eq!(limit.interval(3), Duration::from_secs_f64(0.159));
        assert_eq!(limit.interval(0), limit.interval(1));
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.001, 20_000.0] {
            assert_eq!(RateLimit::new(wrong), None, "{wrong}");
            assert!(wrong.to_string().parse::<RateLimit>().is_err());
        }
        assert_eq!("0.5".parse(), Ok(RateLimit(0.5)));
        assert_eq!("many".parse::<RateLimit>(), Err(InvalidRateLimit));
    }

    proptest! {
        /// A second has at most its share of starts, plus one for the edge and one
        /// for the tolerance, however late the starts are reserved.
        #[test]
        fn no_second_has_more_starts_than_its_share(
            per_second in 1_u32..200,
            gaps in prop::collection::vec(0_u64..300, 1..300),
        ) {
            let interval = SECOND / per_second;
            let mut pace = Pace::default();
            let mut now = Duration::ZERO;
            let mut starts = Vec::new();
            for gap in gaps {
                let start = pace.reserve(now, interval);
                starts.push(start);
                now = start + Duration::from_millis(gap);
            }
            let extra = 2 + TOLERANCE.as_millis() * u128::from(per_second) / 1000;
            for (n, first) in starts.iter().enumerate() {
                let within = starts[n..].iter().take_while(|s| **s < *first + SECOND).count();
                prop_assert!(within as u128 <= u128::from(per_second) + extra, "{}", within);
            }
        }
    }
}
