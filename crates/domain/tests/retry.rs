//! Property tests: the retry rule stays within its bounds for every response.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not cover shared functions"
)]

use std::time::Duration;

use proptest::prelude::*;
use wahook_domain::{AttemptNumber, Decision, Outcome, RetryRule};

fn rules() -> impl Strategy<Value = RetryRule> {
    let delay = prop_oneof![1..=3_600_000u32, Just(5_000), Just(30_000)];
    (0..=10u32, delay).prop_map(|(retries, delay)| RetryRule::new(retries, delay).unwrap())
}

fn failures() -> impl Strategy<Value = Outcome> {
    let status = prop_oneof![Just(429), Just(503), 100..=199u16, 400..=599u16];
    let requested = prop::option::of((0..100_000_000u64).prop_map(Duration::from_millis));
    prop_oneof![
        (status, requested).prop_map(|(status, retry_after)| Outcome::Answered {
            status,
            retry_after
        }),
        Just(Outcome::TimedOut {
            limit: Duration::from_secs(30)
        }),
        Just(Outcome::Redirected {
            status: 302,
            location: None
        }),
    ]
}

proptest! {
    #[test]
    fn an_event_is_attempted_as_often_as_the_rule_says_and_no_more(
        rule in rules(),
        failure in failures(),
    ) {
        let mut attempt = AttemptNumber::FIRST;
        while rule.decide(attempt, &failure) != Decision::Exhausted {
            attempt = attempt.next();
            prop_assert!(attempt.get() <= rule.max_attempts());
        }
        prop_assert_eq!(attempt.get(), rule.max_attempts());
    }

    #[test]
    fn every_wait_is_declared_and_long_enough(
        rule in rules(),
        failure in failures(),
        attempt in 1..=10u32,
    ) {
        let attempt = AttemptNumber::new(attempt).unwrap();
        let without = Outcome::TimedOut { limit: Duration::from_secs(1) };
        let (wait, own) = match (rule.decide(attempt, &failure), rule.decide(attempt, &without)) {
            (Decision::RetryAfter(wait), Decision::RetryAfter(own)) => (wait, own),
            (Decision::Exhausted, Decision::Exhausted) => return Ok(()),
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        let five_minutes = Duration::from_secs(300);
        let requested = failure.retry_after().unwrap_or_default().min(five_minutes);
        prop_assert!(rule.wait_steps().contains(&wait));
        // Retry-After never shortens a wait, and lengthens it to at most five minutes.
        prop_assert!(wait >= own);
        prop_assert!(wait.duration() >= requested);
        prop_assert!(wait == own || wait.duration() <= five_minutes);
        // The chosen step is the shortest declared one that is long enough.
        let needed = own.duration().max(requested);
        let first = rule.wait_steps().into_iter().find(|step| step.duration() >= needed);
        prop_assert_eq!(first, Some(wait));
    }

    #[test]
    fn declared_waits_are_ascending_and_distinct(rule in rules()) {
        prop_assert!(rule.wait_steps().is_sorted_by(|a, b| a < b));
    }
}
