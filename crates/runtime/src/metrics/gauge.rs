//! Guard that decrements a gauge when it is dropped.

use prometheus::IntGauge;

/// Counts one in a gauge while it is held, also if the holder panics.
#[derive(Debug)]
#[must_use = "it counts only while it is held"]
pub struct InFlightGuard(IntGauge);

impl InFlightGuard {
    /// Increments the gauge.
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
