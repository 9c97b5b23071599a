//! Notices a server that confirms nothing, such as a cluster node that is cut off from the
//! others: the connection to it works.

use std::{io, mem, time::Duration};

/// Period of the checks.
pub(super) const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Checks without a confirm after which another server is tried. The election of a new leader
/// takes a few seconds.
const LIMIT: u32 = 15;

/// Checks since the last confirm.
#[derive(Debug, Default)]
pub(super) struct Silence {
    checks: u32,
    has_confirmed: bool,
}

impl Silence {
    /// Records a confirm.
    pub(super) fn confirmed(&mut self) {
        self.has_confirmed = true;
    }

    /// Counts a check. `is_waiting` is true while publishes wait for their confirms.
    ///
    /// # Errors
    /// If the server has confirmed nothing for too long.
    pub(super) fn check(&mut self, is_waiting: bool) -> io::Result<()> {
        let is_silent = is_waiting && !mem::take(&mut self.has_confirmed);
        self.checks = if is_silent { self.checks + 1 } else { 0 };
        if self.checks < LIMIT {
            return Ok(());
        }
        let seconds = u64::from(LIMIT) * CHECK_EVERY.as_secs();
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no publish was confirmed for {seconds} s"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_publishes_without_a_confirm_are_an_error_after_the_limit() {
        let mut silence = Silence::default();
        for _ in 1..LIMIT {
            silence.check(true).unwrap();
        }
        let error = silence.check(true).unwrap_err().to_string();
        assert_eq!(error, "no publish was confirmed for 15 s");
    }

    #[test]
    fn confirms_and_idle_times_start_the_limit_again() {
        let mut silence = Silence::default();
        for _ in 0..3 {
            for _ in 1..LIMIT {
                silence.check(true).unwrap();
            }
            silence.confirmed();
            silence.check(true).unwrap();
            for _ in 1..LIMIT {
                silence.check(true).unwrap();
            }
            silence.check(false).unwrap();
        }
    }
}
