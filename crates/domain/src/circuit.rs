//! Circuit breaker of an endpoint.
//!
//! Consecutive failures open the circuit: deliveries are paused, and one probe at
//! a time is sent, at growing intervals, until one succeeds. Then deliveries
//! resume, slowly at first. Times are durations since any fixed moment.

use std::{collections::VecDeque, time::Duration};

use crate::{
    outcome::{FailureCause, Outcome},
    retry::Decision,
};

/// Time between two deliveries just after the circuit closed. Halves with each
/// second.
const FIRST_INTERVAL: Duration = Duration::from_millis(200);
/// Time from the closing until deliveries run at full rate again.
const RAMP: Duration = Duration::from_secs(10);

/// Thresholds for the opening of a circuit, and the intervals of its probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitRule {
    /// Consecutive failures that open the circuit.
    pub failures: u32,
    /// Time within which these failures must occur.
    pub window: Duration,
    /// Time from the opening to the first probe. Doubles with each failed probe.
    pub first_probe: Duration,
    /// Longest time between two probes.
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

/// Evidence of an attempt about the health of its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthSignal {
    /// The endpoint is up.
    Success,
    /// The endpoint may be down.
    Failure,
    /// No evidence: the endpoint rejected this event, or its address is blocked.
    Neutral,
}

impl HealthSignal {
    /// Classifies an attempt. No response, a 5xx or a 429 indicate an outage, and so
    /// does an exhausted delivery, for any reason.
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
            // A blocked address is a configuration error; waiting does not help.
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

/// Change of a circuit's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Deliveries are paused.
    Opened,
    /// Deliveries resume, after the circuit was open for this long.
    Closed(Duration),
}

/// Circuit breaker of one endpoint. Deliveries are paused while it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    rule: CircuitRule,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Closed {
        /// Times of the latest consecutive failures.
        run: VecDeque<Duration>,
        resumed: Option<Resumed>,
    },
    Open {
        since: Duration,
        /// Time between the last probe and the next.
        wait: Duration,
        probe_at: Duration,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Resumed {
    at: Duration,
    /// Last interval of the probes.
    wait: Duration,
}

impl Circuit {
    /// Creates a closed circuit.
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

    /// Replaces the rule. An open circuit probes at once: the cause may be fixed.
    pub fn apply_rule(&mut self, rule: CircuitRule, now: Duration) {
        self.rule = rule;
        if let State::Open { wait, probe_at, .. } = &mut self.state {
            *wait = rule.first_probe;
            *probe_at = now;
        }
    }

    /// Returns true if the circuit is open: deliveries are paused.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// Returns the time of the next probe while the circuit is open.
    #[must_use]
    pub const fn probe_at(&self) -> Option<Duration> {
        match self.state {
            State::Open { probe_at, .. } => Some(probe_at),
            State::Closed { .. } => None,
        }
    }

    /// Records the signal of a delivery, or the success of a probe. A delivery that
    /// began before the circuit opened may end after.
    pub fn record(&mut self, now: Duration, signal: HealthSignal) -> Option<Change> {
        match (&mut self.state, signal) {
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
                self.open_after_failures(now)
            }
        }
    }

    /// Records a failed probe and delays the next one.
    pub fn probe_failed(&mut self, now: Duration) {
        if let State::Open { wait, probe_at, .. } = &mut self.state {
            *wait = wait.saturating_mul(2).min(self.rule.longest_probe);
            *probe_at = now.saturating_add(*wait);
        }
    }

    /// Returns the minimum time between two deliveries while they resume.
    #[must_use]
    pub fn ramp(&self, now: Duration) -> Option<Duration> {
        let State::Closed { resumed, .. } = &self.state else {
            return None;
        };
        let since = now.saturating_sub((*resumed)?.at);
        (since < RAMP).then(|| FIRST_INTERVAL / (1 << since.as_secs()))
    }

    fn open_after_failures(&mut self, now: Duration) -> Option<Change> {
        let State::Closed { run, resumed } = &self.state else {
            return None;
        };
        let began = *run.front()?;
        let is_run = run.len() >= self.rule.failures as usize
            && now.saturating_sub(began) <= self.rule.window;
        if !is_run {
            return None;
        }
        // An endpoint that fails again soon after it recovered is probed less often.
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
            .map(|_| circuit.record(at, HealthSignal::Failure))
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
    fn twenty_consecutive_failures_within_a_minute_open_the_circuit() {
        let mut circuit = Circuit::new(CircuitRule::default());
        assert_eq!(failing(&mut circuit, 19, s(0)), [None; 19]);
        assert!(!circuit.is_open() && circuit.probe_at().is_none());
        assert_eq!(
            circuit.record(s(60), HealthSignal::Failure),
            Some(Change::Opened)
        );
        assert!(circuit.is_open());
        assert_eq!(circuit.probe_at(), Some(s(65)));
        assert_eq!(
            circuit.record(s(60), HealthSignal::Failure),
            None,
            "already open"
        );
    }

    #[test]
    fn failures_further_apart_do_not_open_the_circuit() {
        let mut circuit = Circuit::new(CircuitRule::default());
        for n in 0..200 {
            // No window of a minute contains 20 of them.
            assert_eq!(circuit.record(s(n) * 61 / 19, HealthSignal::Failure), None);
        }
    }

    #[test]
    fn success_resets_the_failures_and_a_rejected_event_does_not() {
        let mut circuit = Circuit::new(CircuitRule::default());
        failing(&mut circuit, 19, s(0));
        circuit.record(s(1), HealthSignal::Success);
        assert_eq!(failing(&mut circuit, 19, s(1)), [None; 19]);
        assert_eq!(circuit.record(s(1), HealthSignal::Neutral), None);
        assert_eq!(
            circuit.record(s(1), HealthSignal::Failure),
            Some(Change::Opened)
        );
    }

    #[test]
    fn probe_interval_doubles_from_5_s_up_to_5_minutes() {
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
    fn first_success_closes_the_circuit_and_deliveries_ramp_up() {
        let mut circuit = open_at(s(0));
        assert_eq!(circuit.ramp(s(1)), None);
        assert_eq!(
            circuit.record(s(35), HealthSignal::Success),
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
            "failures count from 0 again"
        );
    }

    #[test]
    fn endpoint_that_fails_soon_after_recovery_is_probed_less_often() {
        let mut circuit = open_at(s(0));
        circuit.probe_failed(s(5));
        circuit.record(s(15), HealthSignal::Success);
        failing(&mut circuit, 20, s(20));
        assert_eq!(circuit.probe_at(), Some(s(40)), "last interval: 10 s");
        circuit.record(s(40), HealthSignal::Success);
        failing(&mut circuit, 20, s(200));
        assert_eq!(
            circuit.probe_at(),
            Some(s(205)),
            "up for more than a minute"
        );
    }

    #[test]
    fn new_rule_applies_at_once() {
        let mut circuit = open_at(s(0));
        circuit.apply_rule(CircuitRule::default(), s(2));
        assert_eq!(circuit.probe_at(), Some(s(2)));
        circuit.record(s(2), HealthSignal::Success);
        let sensitive = CircuitRule {
            failures: 1,
            ..CircuitRule::default()
        };
        circuit.apply_rule(sensitive, s(3));
        assert_eq!(
            circuit.record(s(100), HealthSignal::Failure),
            Some(Change::Opened)
        );
    }

    #[test]
    fn health_signal_follows_from_outcome_and_decision() {
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
            for (attempt, signal) in [(1, first), (2, last)] {
                let decision = rule.decide(AttemptNumber::new(attempt).unwrap(), &outcome);
                assert_eq!(
                    HealthSignal::of(&outcome, decision),
                    signal,
                    "{outcome:?} {attempt}"
                );
            }
        }
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Record(HealthSignal),
        ProbeFails,
    }

    proptest! {
        /// Any sequence of steps: the circuit opens only on a failure and closes only on
        /// a success, and the next probe is due within its bounds.
        #[test]
        fn circuit_opens_only_on_failure_and_closes_only_on_success(
            steps in prop::collection::vec((0_u64..8, prop_oneof![
                1 => Just(Step::Record(HealthSignal::Success)),
                4 => Just(Step::Record(HealthSignal::Failure)),
                1 => Just(Step::Record(HealthSignal::Neutral)),
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
                    Step::Record(signal) => circuit.record(now, signal),
                    Step::ProbeFails => { circuit.probe_failed(now); None }
                };
                match (was_open, circuit.is_open()) {
                    (false, true) => {
                        prop_assert_eq!(change, Some(Change::Opened));
                        prop_assert!(matches!(step, Step::Record(HealthSignal::Failure)));
                        let wait = circuit.probe_at().unwrap() - now;
                        prop_assert!(wait >= rule.first_probe && wait <= rule.longest_probe);
                    }
                    (true, false) => {
                        prop_assert!(matches!(change, Some(Change::Closed(_))));
                        prop_assert!(matches!(step, Step::Record(HealthSignal::Success)));
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
