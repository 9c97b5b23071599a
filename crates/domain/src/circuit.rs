//! When is an endpoint taken to be down, and how does one find out that it is
//! back?
//!
//! Deliveries that fail one after the other open the circuit: nothing is sent
//! but one probe at a time, at growing intervals, until one succeeds. Then
//! deliveries resume, slowly at first. Time comes in as the time since any fixed
//! moment.

use std::{collections::VecDeque, time::Duration};

use crate::{
    outcome::{FailureCause, Outcome},
    retry::Decision,
};

/// The time between two deliveries just after the circuit closed. It halves
/// with each second.
const FIRST_INTERVAL: Duration = Duration::from_millis(200);
/// After this long deliveries are as fast as they can be again.
const RAMP: Duration = Duration::from_secs(10);

/// When a circuit opens, and how often it is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitRule {
    /// So many failures in a row open it…
    pub failures: u32,
    /// …where they came within this time.
    pub window: Duration,
    /// How long after the opening the first probe goes out. The wait doubles
    /// with each probe that fails…
    pub first_probe: Duration,
    /// …up to this.
    pub longest_probe: Duration,
}

impl Default for CircuitRule {
    fn default() -> Self {
        Self {
            failures: 20,
            window: Duration::from_secs(60),
            first_probe: Duration::from_secs(5),
            longest_probe: Duration::from_secs(300),
        }
    }
}

/// What a delivery says of its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthSignal {
    /// It is up.
    Success,
    /// It may be down.
    Failure,
    /// Neither: it answered, and refused this event.
    Neutral,
}

impl HealthSignal {
    /// What an attempt says that ended so: no answer, a 5xx or a 429 are signs
    /// of an outage, and so is a delivery that is given up for whatever reason.
    #[must_use]
    pub const fn of(outcome: &Outcome, decision: Decision) -> Self {
        match (outcome, decision) {
            (Outcome::Delivered { .. }, _) => Self::Success,
            (_, Decision::Exhausted)
            | (Outcome::TimedOut { .. }, _)
            | (
                Outcome::Answered {
                    status: 429 | 500..=599,
                    ..
                },
                _,
            ) => Self::Failure,
            // The address is ours to mend; no time will.
            (
                Outcome::Failed {
                    cause: FailureCause::Blocked,
                    ..
                },
                _,
            ) => Self::Neutral,
            (Outcome::Failed { .. }, _) => Self::Failure,
            (Outcome::Answered { .. } | Outcome::Redirected { .. }, _) => Self::Neutral,
        }
    }
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It opened.
    Opened,
    /// It closed, after it was open for this long.
    Closed(Duration),
}

/// Whether an endpoint is taken to be down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    rule: CircuitRule,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Closed {
        /// When the failures of the present run were, the last ones.
        run: VecDeque<Duration>,
        resumed: Option<Resumed>,
    },
    Open {
        since: Duration,
        /// Between the last probe and the next.
        wait: Duration,
        probe_at: Duration,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Resumed {
    at: Duration,
    /// How far the waits had grown.
    wait: Duration,
}

impl Circuit {
    /// A closed one.
    #[must_use]
    pub fn new(rule: CircuitRule) -> Self {
        Self {
            rule,
            state: State::Closed {
                run: VecDeque::new(),
                resumed: None,
            },
        }
    }

    /// Takes another rule, and probes at once where it is open: what was wrong
    /// may be mended.
    pub fn follow(&mut self, rule: CircuitRule, now: Duration) {
        self.rule = rule;
        if let State::Open { wait, probe_at, .. } = &mut self.state {
            *wait = rule.first_probe;
            *probe_at = now;
        }
    }

    /// Whether deliveries must wait.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// When the next probe is due, while it is open.
    #[must_use]
    pub const fn probe_at(&self) -> Option<Duration> {
        match self.state {
            State::Open { probe_at, .. } => Some(probe_at),
            State::Closed { .. } => None,
        }
    }

    /// Takes note of what a delivery says, a probe's success included. One
    /// that began before the circuit opened may end after.
    pub fn note(&mut self, now: Duration, sign: HealthSignal) -> Option<Change> {
        match (&mut self.state, sign) {
            (_, HealthSignal::Neutral) | (State::Open { .. }, HealthSignal::Failure) => None,
            (State::Open { since, wait, .. }, HealthSignal::Success) => {
                let (open_for, wait) = (now.saturating_sub(*since), *wait);
                self.state = State::Closed {
                    run: VecDeque::new(),
                    resumed: Some(Resumed { at: now, wait }),
                };
                Some(Change::Closed(open_for))
            }
            (State::Closed { run, .. }, HealthSignal::Success) => {
                run.clear();
                None
            }
            (State::Closed { run, .. }, HealthSignal::Failure) => {
                run.push_back(now);
                while run.len() > self.rule.failures as usize {
                    run.pop_front();
                }
                self.open_after_a_run(now)
            }
        }
    }

    /// A probe did not succeed: the next one comes later.
    pub fn probe_failed(&mut self, now: Duration) {
        if let State::Open { wait, probe_at, .. } = &mut self.state {
            *wait = wait.saturating_mul(2).min(self.rule.longest_probe);
            *probe_at = now.saturating_add(*wait);
        }
    }

    /// The least time between two deliveries while they resume.
    #[must_use]
    pub fn ramp(&self, now: Duration) -> Option<Duration> {
        let State::Closed { resumed, .. } = &self.state else {
            return None;
        };
        let since = now.saturating_sub((*resumed)?.at);
        (since < RAMP).then(|| FIRST_INTERVAL / (1 << since.as_secs()))
    }

    fn open_after_a_run(&mut self, now: Duration) -> Option<Change> {
        let State::Closed { run, resumed } = &self.state else {
            return None;
        };
        let began = *run.front()?;
        let is_run = run.len() >= self.rule.failures as usize
            && now.saturating_sub(began) <= self.rule.window;
        if !is_run {
            return None;
        }
        // One that comes back only to fail again is asked less and less often.
        let wait = match resumed {
            Some(resumed) if now.saturating_sub(resumed.at) < self.rule.window => {
                resumed.wait.saturating_mul(2).min(self.rule.longest_probe)
            }
            _ => self.rule.first_probe,
        };
        self.state = State::Open {
            since: now,
            wait,
            probe_at: now.saturating_add(wait),
        };
        Some(Change::Opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{delivery::AttemptNumber, retry::RetryRule};
    use proptest::prelude::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn failing(circuit: &mut Circuit, times: u32, at: Duration) -> Vec<Option<Change>> {
        (0..times)
            .map(|_| circuit.note(at, HealthSignal::Failure))
            .collect()
    }

    fn open_at(at: Duration) -> Circuit {
        let mut circuit = Circuit::new(CircuitRule::default());
        assert_eq!(
            failing(&mut circuit, 20, at).pop(),
            Some(Some(Change::Opened))
        );
        circuit
    }

    #[test]
    fn twenty_failures_in_a_row_within_a_minute_open_it() {
        let mut circuit = Circuit::new(CircuitRule::default());
        assert_eq!(failing(&mut circuit, 19, s(0)), [None; 19]);
        assert!(!circuit.is_open() && circuit.probe_at().is_none());
        assert_eq!(
            circuit.note(s(60), HealthSignal::Failure),
            Some(Change::Opened)
        );
        assert!(circuit.is_open());
        assert_eq!(circuit.probe_at(), Some(s(65)));
        assert_eq!(
            circuit.note(s(60), HealthSignal::Failure),
            None,
            "it is open already"
        );
    }

    #[test]
    fn failures_that_are_further_apart_do_not_open_it() {
        let mut circuit = Circuit::new(CircuitRule::default());
        for n in 0..200 {
            // 19 of them are in no window of a minute together with a twentieth.
            assert_eq!(circuit.note(s(n) * 61 / 19, HealthSignal::Failure), None);
        }
    }

    #[test]
    fn a_success_ends_the_run_and_a_refused_event_does_not() {
        let mut circuit = Circuit::new(CircuitRule::default());
        failing(&mut circuit, 19, s(0));
        circuit.note(s(1), HealthSignal::Success);
        assert_eq!(failing(&mut circuit, 19, s(1)), [None; 19]);
        assert_eq!(circuit.note(s(1), HealthSignal::Neutral), None);
        assert_eq!(
            circuit.note(s(1), HealthSignal::Failure),
            Some(Change::Opened)
        );
    }

    #[test]
    fn probes_go_out_after_5_s_and_then_less_and_less_often_up_to_5_minutes() {
        let mut circuit = open_at(s(0));
        let mut waits = Vec::new();
        let mut now = s(0);
        for _ in 0..9 {
            let next = circuit.probe_at().unwrap();
            waits.push((next - now).as_secs());
            now = next;
            circuit.probe_failed(now);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert!(circuit.is_open());
    }

    #[test]
    fn the_first_success_closes_it_and_deliveries_resume_at_a_rising_rate() {
        let mut circuit = open_at(s(0));
        assert_eq!(circuit.ramp(s(1)), None);
        assert_eq!(
            circuit.note(s(35), HealthSignal::Success),
            Some(Change::Closed(s(35)))
        );
        let ramp = [35, 36, 37, 44, 45].map(|at| circuit.ramp(s(at)));
        let micros = |n| Some(Duration::from_nanos(n));
        let expected = [
            micros(200_000_000),
            micros(100_000_000),
            micros(50_000_000),
            micros(390_625),
            None,
        ];
        assert_eq!(ramp, expected);
        assert_eq!(
            failing(&mut circuit, 19, s(36)),
            [None; 19],
            "a new run begins"
        );
    }

    #[test]
    fn one_that_fails_again_at_once_is_probed_less_often_than_one_that_failed_for_the_first_time() {
        let mut circuit = open_at(s(0));
        circuit.probe_failed(s(5));
        circuit.note(s(15), HealthSignal::Success);
        failing(&mut circuit, 20, s(20));
        assert_eq!(circuit.probe_at(), Some(s(40)), "10 s had been reached");
        circuit.note(s(40), HealthSignal::Success);
        failing(&mut circuit, 20, s(200));
        assert_eq!(
            circuit.probe_at(),
            Some(s(205)),
            "it was up for more than a minute"
        );
    }

    #[test]
    fn another_rule_is_followed_at_once() {
        let mut circuit = open_at(s(0));
        circuit.follow(CircuitRule::default(), s(2));
        assert_eq!(circuit.probe_at(), Some(s(2)));
        circuit.note(s(2), HealthSignal::Success);
        let touchy = CircuitRule {
            failures: 1,
            ..CircuitRule::default()
        };
        circuit.follow(touchy, s(3));
        assert_eq!(
            circuit.note(s(100), HealthSignal::Failure),
            Some(Change::Opened)
        );
    }

    #[test]
    fn what_an_attempt_says_of_its_endpoint() {
        let rule = RetryRule::new(1, 1).unwrap();
        let answered = |status| Outcome::Answered {
            status,
            retry_after: None,
        };
        let failed = |cause| Outcome::Failed {
            cause,
            detail: String::new(),
        };
        let timed_out = Outcome::TimedOut { limit: s(30) };
        let redirected = Outcome::Redirected {
            status: 302,
            location: None,
        };
        for (outcome, first, last) in [
            (
                Outcome::Delivered { status: 200 },
                HealthSignal::Success,
                HealthSignal::Success,
            ),
            (answered(500), HealthSignal::Failure, HealthSignal::Failure),
            (answered(503), HealthSignal::Failure, HealthSignal::Failure),
            (answered(429), HealthSignal::Failure, HealthSignal::Failure),
            (answered(404), HealthSignal::Neutral, HealthSignal::Failure),
            (redirected, HealthSignal::Neutral, HealthSignal::Failure),
            (timed_out, HealthSignal::Failure, HealthSignal::Failure),
            (
                failed(FailureCause::ConnectionRefused),
                HealthSignal::Failure,
                HealthSignal::Failure,
            ),
            (
                failed(FailureCause::Dns),
                HealthSignal::Failure,
                HealthSignal::Failure,
            ),
            (
                failed(FailureCause::Tls),
                HealthSignal::Failure,
                HealthSignal::Failure,
            ),
            (
                failed(FailureCause::Blocked),
                HealthSignal::Neutral,
                HealthSignal::Failure,
            ),
        ] {
            for (attempt, sign) in [(1, first), (2, last)] {
                let decision = rule.decide(AttemptNumber::new(attempt).unwrap(), &outcome);
                assert_eq!(
                    HealthSignal::of(&outcome, decision),
                    sign,
                    "{outcome:?} {attempt}"
                );
            }
        }
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Note(HealthSignal),
        ProbeFails,
    }

    proptest! {
        /// Whatever happens: it opens only on a failure, closes only on a
        /// success, and a probe is due within its bounds after the last one.
        #[test]
        fn it_opens_and_closes_only_for_a_reason(
            steps in prop::collection::vec((0_u64..8, prop_oneof![
                1 => Just(Step::Note(HealthSignal::Success)),
                4 => Just(Step::Note(HealthSignal::Failure)),
                1 => Just(Step::Note(HealthSignal::Neutral)),
                2 => Just(Step::ProbeFails),
            ]), 0..300),
        ) {
            let rule = CircuitRule { failures: 4, window: s(10), first_probe: s(2), longest_probe: s(20) };
            let mut circuit = Circuit::new(rule);
            let mut now = s(0);
            for (later, step) in steps {
                now += s(later);
                let was_open = circuit.is_open();
                let change = match step {
                    Step::Note(sign) => circuit.note(now, sign),
                    Step::ProbeFails => { circuit.probe_failed(now); None }
                };
                match (was_open, circuit.is_open()) {
                    (false, true) => {
                        prop_assert_eq!(change, Some(Change::Opened));
                        prop_assert!(matches!(step, Step::Note(HealthSignal::Failure)));
                        let wait = circuit.probe_at().unwrap() - now;
                        prop_assert!(wait >= rule.first_probe && wait <= rule.longest_probe);
                    }
                    (true, false) => {
                        prop_assert!(matches!(change, Some(Change::Closed(_))));
                        prop_assert!(matches!(step, Step::Note(HealthSignal::Success)));
                    }
                    (true, true) if matches!(step, Step::ProbeFails) => {
                        let wait = circuit.probe_at().unwrap() - now;
                        prop_assert!(wait >= rule.first_probe && wait <= rule.longest_probe);
                    }
                    _ => prop_assert_eq!(change, None),
                }
            }
        }
    }
}
