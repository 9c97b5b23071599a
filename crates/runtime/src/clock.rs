//! Adapter to the wall clock, the only one in the workspace.

use std::time::{SystemTime, UNIX_EPOCH};

use wahook_domain::UnixMillis;

/// Returns the time of the wall clock. A clock set before 1970 reads as 1970.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the adapter that all others go through"
)]
pub fn now() -> UnixMillis {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    UnixMillis::new(now.saturating_add(wahook_failpoint::clock_step_ms()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_time_is_in_milliseconds_since_1970() {
        let year_2024 = 1_704_067_200_000;
        let year_2100 = 4_102_444_800_000;
        assert!((year_2024..year_2100).contains(&super::now().get()));
    }
}
