//! Admission: decides when the next request to an endpoint may start.

use std::time::Duration;

use crate::{
    circuit::{Change, Circuit, CircuitRule, HealthSignal},
    pace::{Pace, RateLimit},
};

/// Circuit breaker, pace and rate limit of one endpoint. Times are durations since any
/// fixed moment.
#[derive(Debug)]
pub struct Admission {
    circuit: Option<Circuit>,
    pace: Pace,
    rate_limit: Option<RateLimit>,
    /// Number of consumers that share the limit, this one included.
    consumers: u32,
}

/// Time at which the next request may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Now,
    /// At this time, which is reserved for the request.
    At(Duration),
    /// Not while the endpoint is paused: only a probe may start, at this time.
    Paused {
        probe_at: Duration,
    },
}

impl Admission {
    /// Creates the admission of an endpoint that is not paused; without a rule it is never
    /// paused.
    #[must_use]
    pub fn new(rule: Option<CircuitRule>, rate_limit: Option<RateLimit>) -> Self {
        Self {
            circuit: rule.map(Circuit::new),
            pace: Pace::default(),
            rate_limit,
            consumers: 1,
        }
    }

    /// Replaces rule and limit. A paused endpoint is probed at once.
    pub fn apply(
        &mut self,
        rule: Option<CircuitRule>,
        rate_limit: Option<RateLimit>,
        now: Duration,
    ) {
        self.rate_limit = rate_limit;
        self.circuit = match (self.circuit.take(), rule) {
            (Some(mut circuit), Some(rule)) => {
                circuit.apply_rule(rule, now);
                Some(circuit)
            }
            (_, rule) => rule.map(Circuit::new),
        };
    }

    /// Returns when the next request may start, and reserves that time.
    pub fn next_start(&mut self, now: Duration) -> Start {
        if let Some(probe_at) = self.probe_at() {
            return Start::Paused { probe_at };
        }
        let limit = self.rate_limit.map(|limit| limit.interval(self.consumers));
        let ramp = self.circuit.as_ref().and_then(|c| c.ramp(now));
        match limit.max(ramp) {
            Some(interval) => Start::At(self.pace.reserve(now, interval)),
            None => Start::Now,
        }
    }

    /// Records the health signal of an attempt.
    pub fn record(&mut self, now: Duration, signal: HealthSignal) -> Option<Change> {
        self.circuit.as_mut()?.record(now, signal)
    }

    /// Records a failed probe and delays the next one.
    pub fn probe_failed(&mut self, now: Duration) {
        if let Some(circuit) = &mut self.circuit {
            circuit.probe_failed(now);
        }
    }

    /// Returns true while the endpoint is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.circuit.as_ref().is_some_and(Circuit::is_open)
    }

    /// Returns the time of the next probe while the endpoint is paused.
    #[must_use]
    pub fn probe_at(&self) -> Option<Duration> {
        self.circuit.as_ref().and_then(Circuit::probe_at)
    }

    /// Prevents starts before `moment`, if a rate limit is shared.
    pub fn hold_shared_until(&mut self, moment: Duration) {
        if self.is_shared() {
            self.pace.hold_until(moment);
        }
    }

    /// Returns true if the endpoint has a rate limit, which all its consumers share.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.rate_limit.is_some()
    }

    /// Sets the number of consumers that share the limit.
    pub fn share(&mut self, consumers: u32) {
        self.consumers = consumers.max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn requests_start_at_once_without_limit_and_at_reserved_times_with_one() {
        let mut admission = Admission::new(None, None);
        assert_eq!(admission.next_start(SECOND), Start::Now);
        admission.apply(None, RateLimit::new(1.0), SECOND);
        admission.share(2);
        assert_eq!(admission.next_start(10 * SECOND), Start::At(10 * SECOND));
        let Start::At(second) = admission.next_start(10 * SECOND) else {
            panic!("not limited");
        };
        assert!(second >= 12 * SECOND, "{second:?}");
    }

    #[test]
    fn paused_endpoint_admits_nothing_until_a_probe_succeeds() {
        let rule = CircuitRule::default();
        let mut admission = Admission::new(Some(rule), None);
        let failures = (0..1_000).map(|_| admission.record(SECOND, HealthSignal::Failure));
        assert!(failures.flatten().any(|change| change == Change::Opened));
        let Start::Paused { probe_at } = admission.next_start(SECOND) else {
            panic!("not paused");
        };
        assert!(probe_at > SECOND);
        admission.apply(Some(rule), None, 2 * SECOND);
        assert_eq!(admission.probe_at(), Some(2 * SECOND));
        admission.record(3 * SECOND, HealthSignal::Success);
        assert!(!admission.is_paused());
        assert!(matches!(admission.next_start(3 * SECOND), Start::At(_)));
    }
}
