//! The retry rule stays within its bounds, whatever an endpoint answers.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's leave for tests does not reach the functions they share"
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
    let asked = prop::option::of((0..100_000_000u64).prop_map(Duration::from_millis));
    prop_oneof![
        (status, asked).prop_map(|(status, retry_after)| Outcome::Answered {
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
    fn every_wait_is_a_declared_one_and_long_enough(
        rule in rules(),
        failure in failures(),
        attempt in 1..=10u32,
    ) {
        let attempt = AttemptNumber::new(attempt).unwrap();
        let unasked = Outcome::TimedOut { limit: Duration::from_secs(1) };
        let (wait, own) = match (rule.decide(attempt, &failure), rule.decide(attempt, &unasked)) {
            (Decision::RetryAfter(wait), Decision::RetryAfter(own)) => (wait, own),
            (Decision::Exhausted, Decision::Exhausted) => return Ok(()),
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        let five_minutes = Duration::from_secs(300);
        let asked = failure.retry_after().unwrap_or_default().min(five_minutes);
        prop_assert!(rule.wait_steps().contains(&wait));
        // Retry-After never shortens, and lengthens to five minutes at the most.
        prop_assert!(wait >= own);
        prop_assert!(wait.duration() >= asked);
        prop_assert!(wait == own || wait.duration() <= five_minutes);
        // No declared step between what was needed and what was chosen.
        let needed = own.duration().max(asked);
        let first = rule.wait_steps().into_iter().find(|step| step.duration() >= needed);
        prop_assert_eq!(first, Some(wait));
    }

    #[test]
    fn declared_waits_are_ascending_and_distinct(rule in rules()) {
        prop_assert!(rule.wait_steps().is_sorted_by(|a, b| a < b));
    }
}
