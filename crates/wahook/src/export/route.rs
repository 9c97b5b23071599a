//! Where does a message of the file go at the broker?

use std::time::Duration;
use wahook_domain::{UnixMillis, WaitStep};

/// The way of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Into its queue.
    AtOnce,
    /// Through the wait queue of a step, for as long as is left.
    After(WaitStep, Duration),
}

/// The way of a message that is due at `due_at`.
///
/// `recorded` is the wait that the log knows it is in: that wait's queue is where whoever
/// verifies looks for it, whatever is left of it. Without one, the shortest of `known` that is
/// long enough; where none is, a wait as long as what is left. So none is early, and one that
/// is behind others is late by less than its step. (A wait that is longer than any rule makes
/// comes of a clock that was wrong, and is cut.)
pub(super) fn route(
    due_at: UnixMillis,
    now: UnixMillis,
    recorded: Option<WaitStep>,
    known: &[WaitStep],
) -> Route {
    let left = due_at.since(now).min(WaitStep::LONGEST.duration());
    if left.is_zero() {
        return Route::AtOnce;
    }
    let is_enough = |step: &WaitStep| step.duration() >= left;
    let step = recorded
        .filter(is_enough)
        .or_else(|| known.iter().copied().filter(is_enough).min())
        .unwrap_or_else(|| coarse(left));
    Route::After(step, left)
}

/// Few, so that few queues are made: powers of two of a minute.
fn coarse(left: Duration) -> WaitStep {
    let mut millis = 60_000;
    while u128::try_from(millis).is_ok_and(|millis: u128| millis < left.as_millis()) {
        millis *= 2;
    }
    WaitStep::of_millis(millis).unwrap_or(WaitStep::LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_domain::RetryRule;

    fn step(millis: i64) -> WaitStep {
        WaitStep::of_millis(millis).unwrap()
    }

    fn after(left: i64, recorded: Option<i64>) -> Route {
        let known = RetryRule::new(3, 5_000).unwrap().wait_steps();
        let now = UnixMillis::new(1_000_000);
        let due = UnixMillis::new(now.get() + left);
        route(due, now, recorded.map(step), &known)
    }

    #[test]
    fn what_is_due_goes_at_once() {
        assert_eq!(after(0, None), Route::AtOnce);
        assert_eq!(after(-86_400_000, Some(5_000)), Route::AtOnce);
    }

    #[test]
    fn the_rest_is_waited_where_the_log_says_and_never_less_than_the_rest() {
        let rest = Duration::from_millis(7_000);
        assert_eq!(after(7_000, Some(20_000)), Route::After(step(20_000), rest));
        assert_eq!(after(7_000, Some(7_000)), Route::After(step(7_000), rest));
        // A log that knows of no such long wait is not believed.
        assert_eq!(after(7_000, Some(5_000)), Route::After(step(10_000), rest));
        assert_eq!(after(7_000, None), Route::After(step(10_000), rest));
        for left in [
            1,
            4_999,
            5_001,
            300_001,
            3_600_000,
            86_400_000,
            i64::MAX >> 1,
        ] {
            for recorded in [None, Some(1), Some(600_000)] {
                let Route::After(step, rest) = after(left, recorded) else {
                    panic!("{left} is left");
                };
                assert!(step.duration() >= rest, "{left} {recorded:?}: {step:?}");
                let whole = u128::try_from(left).unwrap();
                let longest = WaitStep::LONGEST.duration().as_millis();
                assert_eq!(rest.as_millis(), whole.min(longest));
            }
        }
    }
}
