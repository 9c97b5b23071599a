//! Chooses the queue at the broker for a waiting message.

use std::time::Duration;
use wahook_domain::{UnixMillis, WaitStep};

/// Route of a waiting message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// To its queue.
    Immediate,
    /// Through the wait queue of a step, for the remaining time.
    Wait(WaitStep, Duration),
}

/// Returns the route of a message that is due at `due_at`.
///
/// `recorded` is the wait according to the log. Its queue is preferred, because `reconcile`
/// looks for the message there. Otherwise the route uses the shortest of the `known` waits
/// that is long enough, or else a coarse one. So no message is early, and one behind others
/// is late by less than its step. The remaining time is limited to the longest wait; a
/// longer one comes from a wrong clock.
pub(super) fn route(
    due_at: UnixMillis,
    now: UnixMillis,
    recorded: Option<WaitStep>,
    known: &[WaitStep],
) -> Route {
    let left = due_at.since(now).min(WaitStep::LONGEST.duration());
    if left.is_zero() {
        return Route::Immediate;
    }
    let is_enough = |step: &WaitStep| step.duration() >= left;
    let step = recorded
        .filter(is_enough)
        .or_else(|| known.iter().copied().filter(is_enough).min())
        .unwrap_or_else(|| coarse_step(left));
    Route::Wait(step, left)
}

/// Returns the shortest sufficient wait of 1, 2, 4, … minutes, to declare few queues.
fn coarse_step(left: Duration) -> WaitStep {
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
    fn due_message_goes_to_its_queue() {
        assert_eq!(after(0, None), Route::Immediate);
        assert_eq!(after(-86_400_000, Some(5_000)), Route::Immediate);
    }

    #[test]
    fn waiting_message_uses_the_recorded_wait_if_it_is_long_enough() {
        let rest = Duration::from_millis(7_000);
        assert_eq!(after(7_000, Some(20_000)), Route::Wait(step(20_000), rest));
        assert_eq!(after(7_000, Some(7_000)), Route::Wait(step(7_000), rest));
        // A recorded wait that is too short is ignored.
        assert_eq!(after(7_000, Some(5_000)), Route::Wait(step(10_000), rest));
        assert_eq!(after(7_000, None), Route::Wait(step(10_000), rest));
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
                let Route::Wait(step, rest) = after(left, recorded) else {
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
