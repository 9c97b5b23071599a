//! Circuit breaker of an endpoint.
//!
//! Consecutive failures open the circuit, and so do refusals of every event and a long
//! wait that the endpoint requests. Then deliveries are paused, and one probe at a time
//! is sent until one succeeds. Times are durations since any fixed moment.

mod rule;
mod runs;

use std::time::Duration;

use crate::health::HealthSignal;
pub use rule::CircuitRule;
use runs::{Gap, Runs, Verdict};

/// Longest hold without a pause: events that wait for its end are prefetched.
const SHORT_HOLD: Duration = Duration::from_secs(10);
/// Refused probes of a pause after which they become less frequent.
const QUICK_PROBES: u32 = 40;
/// Longest time between refused probes: the endpoint works, so they are no burden.
const LONGEST_REFUSED_PROBE: Duration = Duration::from_secs(20);

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
    /// Without a rule, only a requested wait opens the circuit.
    rule: Option<CircuitRule>,
    state: State,
    /// End of the wait that the endpoint requested.
    held_until: Duration,
    gap: Gap,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Closed {
        runs: Runs,
        resumed: Option<Resumed>,
    },
    Open {
        since: Duration,
        /// Time between the last probe and the next.
        wait: Duration,
        probe_at: Duration,
        /// Refused probes since the circuit opened.
        refused: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Resumed {
    at: Duration,
    /// Last interval of the probes.
    wait: Duration,
}

impl State {
    fn closed(resumed: Option<Resumed>) -> Self {
        let runs = Runs::default();
        Self::Closed { runs, resumed }
    }
}

impl Circuit {
    /// Creates a closed circuit.
    #[must_use]
    pub fn new(rule: Option<CircuitRule>) -> Self {
        Self {
            rule,
            state: State::closed(None),
            held_until: Duration::ZERO,
            gap: Gap::default(),
        }
    }

    /// Replaces the rule. An open circuit probes at once, since the cause may be fixed;
    /// without a rule it closes.
    pub fn apply_rule(&mut self, rule: Option<CircuitRule>, now: Duration) {
        self.rule = rule;
        self.held_until = self.held_until.min(now);
        match (&mut self.state, rule) {
            (State::Open { .. }, None) => self.state = State::closed(None),
            (State::Open { wait, probe_at, .. }, Some(rule)) => {
                *wait = rule.first_probe;
                *probe_at = now;
            }
            (State::Closed { .. }, _) => {}
        }
    }

    /// Makes the next probe due now, also before the end of a wait that the endpoint
    /// requested. Returns false if the circuit is closed.
    pub fn probe_at_once(&mut self, now: Duration) -> bool {
        let State::Open { probe_at, .. } = &mut self.state else {
            return false;
        };
        *probe_at = now.min(*probe_at);
        self.held_until = self.held_until.min(now);
        true
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

    /// Returns the end of the wait that the endpoint requested. No request starts before.
    #[must_use]
    pub const fn held_until(&self) -> Duration {
        self.held_until
    }

    /// Records the signal of a delivery or probe. A delivery that began before the
    /// circuit opened may end after.
    pub fn record(&mut self, now: Duration, signal: HealthSignal) -> Option<Change> {
        match (&mut self.state, signal) {
            (_, HealthSignal::Busy(_)) => None,
            (State::Open { .. }, _) => self.record_open(now, signal),
            (State::Closed { runs, .. }, HealthSignal::Success) => {
                let had_refusals = runs.end();
                self.gap.success(now, had_refusals);
                None
            }
            (State::Closed { runs, resumed }, _) => {
                let rule = self.rule?;
                match runs.add(now, signal, &rule, self.gap.usual()) {
                    Verdict::Up => None,
                    Verdict::Down => {
                        let wait = first_wait(now, &rule, *resumed);
                        Some(self.open(now, wait))
                    }
                    Verdict::Refuses(wait) => Some(self.open(now, wait)),
                }
            }
        }
    }

    /// Records a wait that the endpoint requested. A long one opens the circuit.
    pub fn hold(&mut self, now: Duration, wait: Duration) -> Option<Change> {
        self.held_until = self.held_until.max(now.saturating_add(wait));
        match &mut self.state {
            State::Open { probe_at, .. } => {
                *probe_at = self.held_until.max(*probe_at);
                None
            }
            State::Closed { .. } if wait > SHORT_HOLD => Some(self.open(now, wait)),
            State::Closed { .. } => None,
        }
    }

    /// Records a failed probe and delays the next one. The wait after a probe for which
    /// the endpoint was too busy is set by [`Self::hold`].
    pub fn probe_failed(&mut self, now: Duration, signal: HealthSignal) {
        let rule = self.rule.unwrap_or_default();
        let State::Open {
            wait,
            probe_at,
            refused,
            ..
        } = &mut self.state
        else {
            return;
        };
        *wait = match signal {
            HealthSignal::Busy(_) => return,
            HealthSignal::Gone => rule.longest_probe,
            HealthSignal::Refused => {
                *refused = refused.saturating_add(1);
                let doublings = refused.saturating_sub(QUICK_PROBES).min(16);
                let longest = rule.longest_probe.min(LONGEST_REFUSED_PROBE);
                rule.quick_probe()
                    .saturating_mul(1 << doublings)
                    .min(longest)
            }
            _ => (wait.saturating_mul(2)).clamp(rule.first_probe, rule.longest_probe),
        };
        *probe_at = now.saturating_add(*wait).max(self.held_until);
    }

    fn record_open(&mut self, now: Duration, signal: HealthSignal) -> Option<Change> {
        let State::Open { since, wait, .. } = self.state else {
            return None;
        };
        let closes = match signal {
            // The endpoint works.
            HealthSignal::Success | HealthSignal::Rejected => true,
            // Without a rule the end of the requested wait closes the circuit.
            _ => self.rule.is_none(),
        };
        // Requests in flight do not end a wait that the endpoint requested.
        if !closes || now < self.held_until {
            return None;
        }
        if signal == HealthSignal::Success {
            self.gap.success(now, true);
        }
        self.state = State::closed(Some(Resumed { at: now, wait }));
        Some(Change::Closed(now.saturating_sub(since)))
    }

    fn open(&mut self, now: Duration, wait: Duration) -> Change {
        self.state = State::Open {
            since: now,
            wait,
            probe_at: now.saturating_add(wait).max(self.held_until),
            refused: 0,
        };
        Change::Opened
    }
}

/// Returns the time to the first probe after failures. An endpoint that fails again soon
/// after it recovered is probed less often.
fn first_wait(now: Duration, rule: &CircuitRule, resumed: Option<Resumed>) -> Duration {
    match resumed {
        Some(resumed) if now.saturating_sub(resumed.at) < rule.window => {
            let doubled = resumed.wait.saturating_mul(2);
            doubled.clamp(rule.first_probe, rule.longest_probe)
        }
        _ => rule.first_probe,
    }
}

#[cfg(test)]
mod tests;
