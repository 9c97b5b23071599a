//! Gauges that cannot be left standing.

use prometheus::IntGauge;

/// Counts one in a gauge for as long as it lives, whichever way its holder
/// ends.
#[derive(Debug)]
#[must_use = "it counts only while it is held"]
pub struct InFlightGuard(IntGauge);

impl InFlightGuard {
    /// Counts one more.
    pub fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}
