//! Delays between connection attempts.

use backoff::ExponentialBackoff;
use std::time::Duration;

/// Returns the delays between connection attempts: 0.2 s growing to 5 s,
/// without an end.
#[must_use]
pub fn reconnect_backoff() -> ExponentialBackoff {
    ExponentialBackoff {
        current_interval: Duration::from_millis(200),
        initial_interval: Duration::from_millis(200),
        multiplier: 2.0,
        randomization_factor: 0.2,
        max_interval: Duration::from_secs(5),
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
}
