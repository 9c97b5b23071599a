//! How long to wait before the next try, and when to give up.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// What an answer may ask for at the most.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// Tries in a row that settled nothing.
#[derive(Debug)]
pub(super) struct Patience {
    limit: Duration,
    tries: u32,
}

impl Patience {
    /// Gives up when nothing was settled for `limit`.
    pub(super) const fn new(limit: Duration) -> Self {
        Self { limit, tries: 0 }
    }

    /// Something was settled.
    pub(super) fn is_rewarded(&mut self) {
        self.tries = 0;
    }

    /// The wait before the next try, `None` where there is none. `fruitless` is
    /// the time since something was settled. The last try is at the limit.
    pub(super) fn next(
        &mut self,
        fruitless: Duration,
        asked: Option<Duration>,
    ) -> Option<Duration> {
        let left = self.limit.checked_sub(fruitless)?;
        if left.is_zero() {
            return None;
        }
        let doubled = FIRST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.tries += 1;
        let asked = asked.unwrap_or_default().min(LONGEST_ASKED);
        Some(doubled.max(asked).min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_try_waits_longer_until_something_is_settled() {
        let mut patience = Patience::new(seconds(600));
        let mut next = |fruitless| patience.next(seconds(fruitless), None).unwrap();
        let waits: Vec<_> = (0..7).map(|_| next(10).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        patience.is_rewarded();
        assert_eq!(patience.next(seconds(0), None), Some(seconds(1)));
    }

    #[test]
    fn an_answer_lengthens_the_wait_and_never_shortens_it() {
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
        assert_eq!(patience.next(seconds(0), day), Some(LONGEST_ASKED));
    }

    #[test]
    fn the_last_try_is_at_the_limit() {
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
