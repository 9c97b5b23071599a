//! Backoff between retries, and the time limit for them.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// Upper limit for `Retry-After`.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Backoff that gives up after a time without progress.
#[derive(Debug)]
pub(super) struct Patience {
    limit: Duration,
    tries: u32,
}

impl Patience {
    /// Creates a backoff that gives up after `limit` without progress.
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit, tries: 0 }
    }

    /// Restarts the backoff after progress.
    pub(super) fn reset(&mut self) {
        self.tries = 0;
    }

    /// Returns the delay before the next try, or `None` to give up. `idle` is the time since
    /// the last progress. The last try is at the limit.
    pub(super) fn next(
        &mut self,
        idle: Duration,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        let left = self.limit.checked_sub(idle)?;
        if left.is_zero() {
            return None;
        }
        let doubled = FIRST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.tries += 1;
        let retry_after = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        Some(doubled.max(retry_after).min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn delay_doubles_until_there_is_progress() {
        let mut patience = Patience::new(seconds(600));
        let mut next = |idle| patience.next(seconds(idle), None).unwrap();
        let waits: Vec<_> = (0..7).map(|_| next(10).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        patience.reset();
        assert_eq!(patience.next(seconds(0), None), Some(seconds(1)));
    }

    #[test]
    fn retry_after_lengthens_the_delay_and_never_shortens_it() {
        let mut patience = Patience::new(seconds(600));
        assert_eq!(
            patience.next(seconds(0), Some(seconds(5))),
            Some(seconds(5))
        );
        assert_eq!(
            patience.next(seconds(0), Some(seconds(0))),
            Some(seconds(2))
        );
        let day = Some(seconds(86_400));
        assert_eq!(patience.next(seconds(0), day), Some(LONGEST_RETRY_AFTER));
    }

    #[test]
    fn last_try_is_at_the_limit() {
        let mut patience = Patience::new(seconds(60));
        assert_eq!(
            patience.next(seconds(59), Some(seconds(9))),
            Some(seconds(1))
        );
        assert_eq!(patience.next(seconds(60), None), None);
        assert_eq!(patience.next(seconds(61), None), None);
        assert_eq!(Patience::new(seconds(0)).next(seconds(0), None), None);
    }
}
