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
    let schedule = prop::collection::vec(1..=604_800_000u32, 1..=10).prop_map(|delays| {
        let delays: Vec<_> = delays.iter().map(|delay| format!("{delay}ms")).collect();
        delays.join(",").parse().unwrap()
    });
    prop_oneof![
        (0..=10u32, delay).prop_map(|(retries, delay)| RetryRule::new(retries, delay).unwrap()),
        schedule,
    ]
}

fn failures() -> impl Strategy<Value = Outcome> {
    let status = prop_oneof![
        Just(429),
        Just(503),
        100..=199u16,
        400..=409u16,
        411..=599u16
    ];
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
            location: None,
            fault: None,
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
    fn every_wait_is_declared(
        rule in rules(),
        failure in failures(),
        attempt in 1..=10u32,
    ) {
        let attempt = AttemptNumber::new(attempt).unwrap();
        if let Decision::RetryAfter(wait) = rule.decide(attempt, &failure) {
            prop_assert!(rule.wait_steps().contains(&wait));
        }
    }

    #[test]
    fn declared_waits_are_ascending_and_distinct(rule in rules()) {
        prop_assert!(rule.wait_steps().is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn rule_equals_its_schedule(rule in rules()) {
        let longest = rule.wait_steps().last().map_or(0, |step| step.millis());
        prop_assume!((1..=604_800_000).contains(&longest));
        prop_assert_eq!(rule.to_string().parse(), Ok(rule));
    }

    #[test]
    fn spread_is_at_most_a_tenth_of_the_delay(
        rule in rules(),
        attempt in 1..=12u32,
        share: u16,
    ) {
        let attempt = AttemptNumber::new(attempt).unwrap();
        let longest = rule.wait_steps().last().map_or(Duration::ZERO, |step| step.duration() / 10);
        prop_assert!(rule.spread(attempt, share) <= longest.min(Duration::from_secs(2)));
    }
}
