//! Rule of a circuit breaker.

use std::time::Duration;

/// Time between the first refused probes. They use up attempts of different events.
const QUICK_PROBE: Duration = Duration::from_secs(1);

/// Thresholds for the opening of a circuit, and the intervals of its probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitRule {
    /// Consecutive failures or refusals that open the circuit.
    pub failures: u32,
    /// Time within which these must occur. Refusals open the circuit only if nothing
    /// succeeds for half of it.
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

impl CircuitRule {
    /// Returns the interval of the first probes of an endpoint that refuses events.
    pub(super) fn quick_probe(&self) -> Duration {
        QUICK_PROBE.min(self.first_probe)
    }
}
