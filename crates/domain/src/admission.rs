//! Admission: decides when the next request to an endpoint may start.

use std::time::Duration;

use crate::{
    circuit::{Change, Circuit, CircuitRule},
    health::HealthSignal,
    pace::{Pace, RateLimit},
    throttle::{Hold, Throttle},
};

/// Circuit breaker, throttle, pace and rate limit of one endpoint. Times are durations
/// since any fixed moment.
#[derive(Debug)]
pub struct Admission {
    circuit: Circuit,
    throttle: Throttle,
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

/// Consequences of an attempt for its endpoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recorded {
    pub change: Option<Change>,
    /// Deliveries per second from now on, if the endpoint asked for slower ones for the
    /// first time.
    pub slowed_to: Option<f64>,
    /// True if the attempt counts against its event.
    pub counts: bool,
}

impl Admission {
    /// Creates the admission of an endpoint that is not paused. Without a rule it is
    /// paused only at the endpoint's request.
    #[must_use]
    pub fn new(rule: Option<CircuitRule>, rate_limit: Option<RateLimit>) -> Self {
        Self {
            circuit: Circuit::new(rule),
            throttle: Throttle::default(),
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
        self.circuit.apply_rule(rule, now);
    }

    /// Returns true if requests start at times that are reserved.
    #[must_use]
    pub fn is_paced(&self) -> bool {
        self.rate_limit.is_some() || self.throttle.interval().is_some()
    }

    /// Returns when the next request may start, and reserves that time.
    pub fn next_start(&mut self, now: Duration) -> Start {
        if let Some(probe_at) = self.probe_at() {
            return Start::Paused { probe_at };
        }
        let limit = self.rate_limit.map(|limit| limit.interval(self.consumers));
        match limit.max(self.throttle.interval()) {
            Some(interval) => {
                self.pace.hold_until(self.held_until());
                Start::At(self.pace.reserve(now, interval))
            }
            None => Start::Now,
        }
    }

    /// Records an attempt that began at `started`.
    pub fn record(&mut self, now: Duration, started: Duration, signal: HealthSignal) -> Recorded {
        let mut slowed_to = None;
        let change = match signal {
            HealthSignal::Busy(requested) => {
                let Hold { time, is_first } = self.throttle.busy(now, started, requested);
                slowed_to = self.throttle.rate().filter(|_| is_first);
                self.circuit.hold(now, time)
            }
            HealthSignal::Failure => {
                self.throttle.failed(now);
                self.circuit.record(now, signal)
            }
            _ => {
                self.throttle.answered(now);
                self.circuit.record(now, signal)
            }
        };
        if matches!(change, Some(Change::Closed(_))) {
            self.throttle.resume(now);
        }
        Recorded {
            change,
            slowed_to,
            counts: self.counts(signal),
        }
    }

    /// Makes the next probe due now. Returns false if the endpoint is not paused.
    pub fn probe_at_once(&mut self, now: Duration) -> bool {
        self.circuit.probe_at_once(now)
    }

    /// Records a failed probe and delays the next one.
    pub fn probe_failed(&mut self, now: Duration, signal: HealthSignal) {
        self.circuit.probe_failed(now, signal);
    }

    /// Returns true while the endpoint is paused.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.circuit.is_open()
    }

    /// Returns the time of the next probe while the endpoint is paused.
    #[must_use]
    pub const fn probe_at(&self) -> Option<Duration> {
        self.circuit.probe_at()
    }

    /// Returns the end of the wait that the endpoint requested. No request starts before.
    #[must_use]
    pub const fn held_until(&self) -> Duration {
        self.circuit.held_until()
    }

    /// Returns the lowest number of deliveries per second since the endpoint asked for
    /// slower ones; `None` if it is not slowed.
    #[must_use]
    pub fn slowest(&self) -> Option<f64> {
        self.throttle.slowest()
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

    /// Returns true if an attempt with this signal counts against its event. An endpoint
    /// that is paused or too busy is no fault of the event; its refusal is.
    const fn counts(&self, signal: HealthSignal) -> bool {
        match signal {
            HealthSignal::Busy(_) => false,
            HealthSignal::Failure | HealthSignal::Gone => !self.is_paused(),
            HealthSignal::Success | HealthSignal::Rejected | HealthSignal::Refused => true,
        }
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
        let failures: Vec<_> = (0..20)
            .map(|_| admission.record(SECOND, SECOND, HealthSignal::Failure))
            .collect();
        assert_eq!(failures[19].change, Some(Change::Opened));
        assert!(failures[18].counts && !failures[19].counts);
        let Start::Paused { probe_at } = admission.next_start(SECOND) else {
            panic!("not paused");
        };
        assert!(probe_at > SECOND);
        admission.apply(Some(rule), None, 2 * SECOND);
        assert_eq!(admission.probe_at(), Some(2 * SECOND));
        let refused = admission.record(2 * SECOND, 2 * SECOND, HealthSignal::Refused);
        assert!(refused.counts && admission.is_paused());
        admission.record(3 * SECOND, 3 * SECOND, HealthSignal::Success);
        assert!(!admission.is_paused());
        assert!(matches!(admission.next_start(3 * SECOND), Start::At(_)));
    }

    #[test]
    fn busy_endpoint_is_slowed_and_held_and_its_attempt_does_not_count() {
        let mut admission = Admission::new(None, None);
        let busy = HealthSignal::Busy(Some(3 * SECOND));
        let recorded = admission.record(SECOND, SECOND, busy);
        assert!(!recorded.counts && recorded.change.is_none());
        assert!(recorded.slowed_to.is_some());
        assert_eq!(admission.next_start(SECOND), Start::At(4 * SECOND));
        let busy = HealthSignal::Busy(Some(3_600 * SECOND));
        let recorded = admission.record(5 * SECOND, 5 * SECOND, busy);
        assert_eq!(
            (recorded.change, recorded.slowed_to),
            (Some(Change::Opened), None)
        );
        assert_eq!(admission.probe_at(), Some(3_605 * SECOND));
    }
}
