//! Retry rule: delays between attempts, and the end of the attempts.

use std::time::Duration;

use crate::{delivery::AttemptNumber, outcome::Outcome, retry_after::MAX_RETRY_AFTER};

/// Waits for receivers that request more time with `Retry-After`. Each wait is a
/// queue, so there are few.
pub const RETRY_AFTER_STEPS: [WaitStep; 4] = [
    WaitStep(30_000),
    WaitStep(60_000),
    WaitStep(120_000),
    WaitStep(300_000),
];

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

/// Number and delays of the retries of an event.
///
/// Before retry `n` the event waits the first delay × 2^(n-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryRule {
    retries: u32,
    first_delay_ms: u32,
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
    pub const fn new(retries: u32, first_delay_ms: u32) -> Result<Self, InvalidRetryRule> {
        if retries > Self::MAX_RETRIES {
            return Err(InvalidRetryRule::Retries(retries));
        }
        if first_delay_ms == 0 || first_delay_ms > Self::MAX_FIRST_DELAY_MS {
            return Err(InvalidRetryRule::FirstDelay(first_delay_ms));
        }
        Ok(Self {
            retries,
            first_delay_ms,
        })
    }

    /// Returns the consequence of the outcome of an attempt.
    #[must_use]
    pub fn decide(&self, attempt: AttemptNumber, outcome: &Outcome) -> Decision {
        if outcome.is_success() {
            return Decision::Delivered;
        }
        if attempt.get() > self.retries {
            return Decision::Exhausted;
        }
        let own = self.delay_before_retry(attempt.get());
        let requested = outcome
            .retry_after()
            .unwrap_or_default()
            .min(MAX_RETRY_AFTER);
        let step = self
            .steps()
            .filter(|step| *step >= own && step.duration() >= requested)
            .min()
            .unwrap_or(own);
        Decision::RetryAfter(step)
    }

    /// Returns all waits that can follow from the rule, ascending; empty without
    /// retries.
    #[must_use]
    pub fn wait_steps(&self) -> Vec<WaitStep> {
        let mut steps: Vec<_> = self.steps().collect();
        steps.sort_unstable();
        steps.dedup();
        steps
    }

    /// Returns the maximum number of attempts, the first included.
    #[must_use]
    pub const fn max_attempts(&self) -> u32 {
        self.retries + 1
    }

    fn steps(&self) -> impl Iterator<Item = WaitStep> {
        let requested = if self.retries == 0 {
            [].as_slice()
        } else {
            &RETRY_AFTER_STEPS
        };
        (1..=self.retries)
            .map(|retry| self.delay_before_retry(retry))
            .chain(requested.iter().copied())
    }

    /// Fits into 32 bits within the bounds of a rule: one hour × 2^9 is 21 days.
    const fn delay_before_retry(&self, retry: u32) -> WaitStep {
        WaitStep(self.first_delay_ms << (retry - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: RetryRule = RetryRule {
        retries: 3,
        first_delay_ms: 5_000,
    };

    fn failure(retry_after: Option<u64>) -> Outcome {
        Outcome::Answered {
            status: 503,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    /// Returns the wait in milliseconds after this attempt, `None` after the last.
    fn wait(rule: RetryRule, attempt: u32, retry_after: Option<u64>) -> Option<u32> {
        let attempt = AttemptNumber::new(attempt).unwrap();
        match rule.decide(attempt, &failure(retry_after)) {
            Decision::RetryAfter(step) => Some(step.millis()),
            Decision::Exhausted => None,
            Decision::Delivered => panic!("a failure is no delivery"),
        }
    }

    #[test]
    fn wait_step_is_recovered_from_its_milliseconds_within_bounds() {
        let longest = RetryRule::new(RetryRule::MAX_RETRIES, RetryRule::MAX_FIRST_DELAY_MS);
        for rule in [DEFAULT, longest.unwrap()] {
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
        let waits = [1, 2, 3, 4].map(|attempt| wait(DEFAULT, attempt, None));
        assert_eq!(waits, [Some(5_000), Some(10_000), Some(20_000), None]);
        assert_eq!(DEFAULT.max_attempts(), 4);
    }

    #[test]
    fn a_success_ends_the_delivery_at_every_attempt() {
        for attempt in [1, 4, 5, u32::MAX] {
            let attempt = AttemptNumber::new(attempt).unwrap();
            let delivered = Outcome::Delivered { status: 200 };
            assert_eq!(DEFAULT.decide(attempt, &delivered), Decision::Delivered);
        }
    }

    #[test]
    fn an_attempt_beyond_the_rule_is_the_last() {
        assert_eq!(wait(DEFAULT, u32::MAX, None), None);
        let none = RetryRule::new(0, 1).unwrap();
        assert_eq!(wait(none, 1, Some(60)), None);
        assert_eq!(none.wait_steps(), []);
    }

    #[test]
    fn retry_after_lengthens_to_the_next_declared_step() {
        for (header, expected) in [
            (0, 5_000),
            (5, 5_000),
            (6, 10_000),
            (21, 30_000),
            (31, 60_000),
            (300, 300_000),
        ] {
            assert_eq!(wait(DEFAULT, 1, Some(header)), Some(expected), "{header}");
        }
        assert_eq!(wait(DEFAULT, 1, Some(86_400)), Some(300_000));
    }

    #[test]
    fn retry_after_never_shortens() {
        let slow = RetryRule::new(1, 3_600_000).unwrap();
        assert_eq!(wait(slow, 1, Some(1)), Some(3_600_000));
        assert_eq!(wait(slow, 1, Some(300)), Some(3_600_000));
    }

    #[test]
    fn wait_steps_are_ascending_and_unique() {
        let millis = |rule: RetryRule| -> Vec<_> {
            rule.wait_steps()
                .into_iter()
                .map(WaitStep::millis)
                .collect()
        };
        assert_eq!(
            millis(DEFAULT),
            [5_000, 10_000, 20_000, 30_000, 60_000, 120_000, 300_000]
        );
        let doubled = RetryRule::new(3, 30_000).unwrap();
        assert_eq!(millis(doubled), [30_000, 60_000, 120_000, 300_000]);
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
