//! Regular work without a request: removal of expired records, and changes of the clock.

use std::time::{Duration, Instant};

use wahook_domain::UnixMillis;
use wahook_runtime::clock;

use super::Engine;
use crate::{messages, records};

/// Interval between removals of expired records.
const REMOVE_EVERY: Duration = Duration::from_secs(60);
/// Deviation of the wall clock from the monotonic clock, in milliseconds, above which the
/// wall clock was set.
const CLOCK_STEP_MS: i64 = 1_000;

impl Engine {
    pub(super) fn is_removal_due(&self) -> bool {
        self.retention_days.is_some() && self.removed_at.elapsed() >= REMOVE_EVERY
    }

    pub(super) fn remove_old(&mut self, now: UnixMillis) -> rusqlite::Result<()> {
        let Some(days) = self.retention_days else {
            return Ok(());
        };
        let oldest = now.minus(Duration::from_secs(u64::from(days) * 24 * 60 * 60));
        let more = records::remove_before(&self.db, oldest)?;
        if !more {
            self.removed_at = Instant::now();
        }
        Ok(())
    }

    /// Returns the wall clock time. If the clock was set, shifts the due times of waiting
    /// messages first.
    pub(super) fn now(&mut self) -> UnixMillis {
        let (wall, steady) = (clock::now(), Instant::now());
        let (wall_before, steady_before) = self.clocks;
        let passed = steady.saturating_duration_since(steady_before);
        let step = wall.get() - wall_before.plus(passed).get();
        self.clocks = (wall, steady);
        if step.abs() > CLOCK_STEP_MS {
            match messages::shift_waiting(&self.db, step) {
                Ok(waiting) => {
                    tracing::warn!(step_ms = step, waiting, "clock was set, due times adjusted");
                }
                Err(error) => {
                    tracing::warn!(%error, step_ms = step, "clock was set, due times unchanged");
                }
            }
        }
        wall
    }
}
