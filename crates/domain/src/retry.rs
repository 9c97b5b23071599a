//! Retry rule: delays between attempts, and the end of the attempts.

pub(crate) mod schedule;

use std::time::Duration;

use crate::{delivery::AttemptNumber, outcome::Outcome};

/// Longest additional wait that spreads the retries of many events.
const LONGEST_SPREAD: Duration = Duration::from_secs(2);

/// Wait before a retry. Each distinct wait has its own queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaitStep(u32);

impl WaitStep {
    /// Longest wait of any rule: the longest first delay, doubled before each further
    /// retry.
    pub const LONGEST: Self = Self(RetryRule::MAX_FIRST_DELAY_MS << (RetryRule::MAX_RETRIES - 1));

    /// Returns the wait of this many milliseconds, as a former rule may have produced it.
    /// `None` if no rule can produce it.
    #[must_use]
    pub fn of_millis(millis: i64) -> Option<Self> {
        let step = Self(u32::try_from(millis).ok()?);
        (step.0 > 0 && step <= Self::LONGEST).then_some(step)
    }

    #[must_use]
    pub const fn millis(self) -> u32 {
        self.0
    }

    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }
}

/// Number and delays of the retries of an event: the first delay doubled before each
/// further retry, or a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryRule {
    retries: u32,
    /// Milliseconds before each retry; 0 after the last.
    delays: [u32; Self::MAX_RETRIES as usize],
    /// True if attempts do not end before the event is delivered.
    holds: bool,
}

/// Number that is out of bounds for a retry rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRetryRule {
    /// Too many retries.
    #[error("retries must be 0 to {most}", most = RetryRule::MAX_RETRIES)]
    Retries(u32),
    /// Zero or too long.
    #[error("the first delay must be 1 to {most} ms", most = RetryRule::MAX_FIRST_DELAY_MS)]
    FirstDelay(u32),
    /// No list of delays within bounds.
    #[error("must be a list of {form}", form = RetryRule::SCHEDULE_FORM)]
    Schedule,
}

/// Consequence of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The event is delivered; nothing follows.
    Delivered,
    /// Another attempt follows after this wait.
    RetryAfter(WaitStep),
    /// No attempt is left: the event is dead-lettered.
    Exhausted,
}

impl RetryRule {
    pub const MAX_RETRIES: u32 = 10;
    /// Longest first delay in milliseconds: one hour.
    pub const MAX_FIRST_DELAY_MS: u32 = 3_600_000;

    /// Creates a rule with this many retries after the first attempt, the first of
    /// them after this many milliseconds.
    ///
    /// # Errors
    /// When a number is out of its bounds.
    pub fn new(retries: u32, first_delay_ms: u32) -> Result<Self, InvalidRetryRule> {
        if retries > Self::MAX_RETRIES {
            return Err(InvalidRetryRule::Retries(retries));
        }
        if first_delay_ms == 0 || first_delay_ms > Self::MAX_FIRST_DELAY_MS {
            return Err(InvalidRetryRule::FirstDelay(first_delay_ms));
        }
        // Fits into 32 bits: one hour × 2^9 is 21 days.
        let doubled = (0..retries).map(|retry| first_delay_ms << retry);
        Ok(Self::of(retries, doubled))
    }

    fn of(retries: u32, given: impl Iterator<Item = u32>) -> Self {
        let mut delays = [0; Self::MAX_RETRIES as usize];
        for (delay, given) in delays.iter_mut().zip(given) {
            *delay = given;
        }
        Self {
            retries,
            delays,
            holds: false,
        }
    }

    /// Returns the rule that holds an event whose retries are exhausted: further ones follow
    /// at the longest delay. A 410 is a failure like any other. Without retries there is no
    /// delay, so the rule holds nothing.
    #[must_use]
    pub const fn holding(self) -> Self {
        Self {
            holds: true,
            ..self
        }
    }

    /// Returns true if this attempt is one of an event that is held: its retries are
    /// exhausted.
    #[must_use]
    pub const fn is_held(&self, attempt: AttemptNumber) -> bool {
        self.holds && attempt.retries() > self.retries
    }

    /// Returns the consequence of the outcome of an attempt. After a 410 no other attempt
    /// follows, unless the rule holds.
    #[must_use]
    pub fn decide(&self, attempt: AttemptNumber, outcome: &Outcome) -> Decision {
        if outcome.is_success() {
            return Decision::Delivered;
        }
        match self.wait_after(attempt) {
            Some(step) if self.holds || outcome.status_code() != Some(410) => {
                Decision::RetryAfter(step)
            }
            _ => Decision::Exhausted,
        }
    }

    /// Returns the additional wait of an attempt, up to a tenth of the delay before it and
    /// at most 2 s. It spreads the retries of events that failed together. `share` is any
    /// number that differs between events.
    #[must_use]
    pub fn spread(&self, attempt: AttemptNumber, share: u16) -> Duration {
        let delay = self.delay_before_retry(attempt.retries());
        let longest = delay.map_or(Duration::ZERO, |step| step.duration() / 10);
        longest.min(LONGEST_SPREAD) * u32::from(share) / u32::from(u16::MAX)
    }

    /// Returns all waits that can follow from the rule, ascending; empty without
    /// retries.
    #[must_use]
    pub fn wait_steps(&self) -> Vec<WaitStep> {
        let retries = 1..=self.retries;
        let mut steps: Vec<_> = retries
            .filter_map(|retry| self.delay_before_retry(retry))
            .collect();
        steps.sort_unstable();
        steps.dedup();
        steps
    }

    /// Returns the maximum number of attempts, the first included.
    #[must_use]
    pub const fn max_attempts(&self) -> u32 {
        self.retries + 1
    }

    /// Returns the wait after a failed attempt; `None` after the last.
    #[must_use]
    pub fn wait_after(&self, attempt: AttemptNumber) -> Option<WaitStep> {
        self.delay_before_retry(attempt.get())
    }

    /// Returns the wait before a retry, counted from 1; `None` if there is no such retry.
    fn delay_before_retry(&self, retry: u32) -> Option<WaitStep> {
        let index = usize::try_from(retry.checked_sub(1)?).ok()?;
        let is_in_rule = retry <= self.retries;
        let delay = match self.delays.get(index) {
            Some(delay) if is_in_rule => *delay,
            _ if self.holds => self.delays.iter().copied().max()?,
            _ => return None,
        };
        (delay > 0).then_some(WaitStep(delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default() -> RetryRule {
        RetryRule::new(3, 5_000).unwrap()
    }

    fn answered(status: u16) -> Outcome {
        Outcome::Answered {
            status,
            retry_after: None,
        }
    }

    /// Returns the wait in milliseconds after this attempt, `None` after the last.
    fn wait(rule: RetryRule, attempt: u32) -> Option<u32> {
        let attempt = AttemptNumber::new(attempt).unwrap();
        match rule.decide(attempt, &answered(503)) {
            Decision::RetryAfter(step) => Some(step.millis()),
            Decision::Exhausted => None,
            Decision::Delivered => panic!("a failure is no delivery"),
        }
    }

    #[test]
    fn wait_step_is_recovered_from_its_milliseconds_within_bounds() {
        let longest = RetryRule::new(RetryRule::MAX_RETRIES, RetryRule::MAX_FIRST_DELAY_MS);
        for rule in [default(), longest.unwrap()] {
            for step in rule.wait_steps() {
                assert_eq!(WaitStep::of_millis(step.millis().into()), Some(step));
            }
        }
        let longest = i64::from(WaitStep::LONGEST.millis());
        for none in [i64::MIN, -1, 0, longest + 1, i64::MAX] {
            assert_eq!(WaitStep::of_millis(none), None);
        }
    }

    #[test]
    fn by_default_an_event_is_retried_after_5_10_and_20_seconds() {
        let waits = [1, 2, 3, 4].map(|attempt| wait(default(), attempt));
        assert_eq!(waits, [Some(5_000), Some(10_000), Some(20_000), None]);
        assert_eq!(default().max_attempts(), 4);
    }

    #[test]
    fn a_success_ends_the_delivery_at_every_attempt() {
        for attempt in [1, 4, 5, u32::MAX] {
            let attempt = AttemptNumber::new(attempt).unwrap();
            let delivered = Outcome::Delivered { status: 200 };
            assert_eq!(default().decide(attempt, &delivered), Decision::Delivered);
        }
    }

    #[test]
    fn an_attempt_beyond_the_rule_is_the_last() {
        assert_eq!(wait(default(), u32::MAX), None);
        let none = RetryRule::new(0, 1).unwrap();
        assert_eq!(wait(none, 1), None);
        assert_eq!(none.wait_steps(), []);
    }

    #[test]
    fn a_410_ends_the_delivery_at_once() {
        let decision = default().decide(AttemptNumber::FIRST, &answered(410));
        assert_eq!(decision, Decision::Exhausted);
    }

    #[test]
    fn rule_that_holds_goes_on_at_its_longest_delay_also_after_a_410() {
        let schedule: RetryRule = "5s,1m,10s".parse().unwrap();
        let rule = schedule.holding();
        let attempts = [1, 2, 3, 4, 5, u32::MAX];
        let waits = attempts.map(|attempt| wait(rule, attempt));
        let expected = [5_000, 60_000, 10_000, 60_000, 60_000, 60_000];
        assert_eq!(waits, expected.map(Some));
        let held = attempts.map(|attempt| rule.is_held(AttemptNumber::new(attempt).unwrap()));
        assert_eq!(held, [false, false, false, false, true, true]);
        assert!(!schedule.is_held(AttemptNumber::new(5).unwrap()));
        let gone = rule.decide(AttemptNumber::new(4).unwrap(), &answered(410));
        assert_eq!(gone, Decision::RetryAfter(WaitStep(60_000)));
        assert_eq!(rule.wait_steps(), schedule.wait_steps());
        let late = AttemptNumber::new(9).unwrap();
        assert_eq!(rule.spread(late, u16::MAX), LONGEST_SPREAD);
        let none = RetryRule::new(0, 5_000).unwrap().holding();
        assert_eq!(wait(none, 1), None);
    }

    #[test]
    fn retries_are_spread_over_a_tenth_of_their_delay() {
        let spread = |attempt, share| {
            let spread = default().spread(AttemptNumber::new(attempt).unwrap(), share);
            spread.as_millis()
        };
        assert_eq!(
            [1, 2, 3, 4].map(|n| spread(n, u16::MAX)),
            [0, 500, 1_000, 2_000]
        );
        assert_eq!(
            [0, 13_107, 65_535].map(|share| spread(2, share)),
            [0, 100, 500]
        );
        assert_eq!(spread(99, u16::MAX), 0);
        let long = RetryRule::new(1, 3_600_000).unwrap();
        let second = AttemptNumber::new(2).unwrap();
        assert_eq!(long.spread(second, u16::MAX), LONGEST_SPREAD);
    }

    #[test]
    fn wait_steps_are_ascending_and_unique() {
        let millis = |rule: RetryRule| -> Vec<_> {
            rule.wait_steps()
                .into_iter()
                .map(WaitStep::millis)
                .collect()
        };
        assert_eq!(millis(default()), [5_000, 10_000, 20_000]);
        let schedule: RetryRule = "1m,5s,1m".parse().unwrap();
        assert_eq!(millis(schedule), [5_000, 60_000]);
    }

    #[test]
    fn rule_with_numbers_out_of_bounds_is_rejected() {
        assert_eq!(RetryRule::new(11, 1), Err(InvalidRetryRule::Retries(11)));
        assert_eq!(RetryRule::new(1, 0), Err(InvalidRetryRule::FirstDelay(0)));
        assert_eq!(
            RetryRule::new(1, 3_600_001),
            Err(InvalidRetryRule::FirstDelay(3_600_001))
        );
        let widest = RetryRule::new(10, 3_600_000).unwrap();
        assert_eq!(widest.wait_steps().last(), Some(&WaitStep(1_843_200_000)));
    }
}
