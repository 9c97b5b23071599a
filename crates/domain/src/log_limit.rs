//! Limit for log lines about repeated occurrences.

use std::{collections::BTreeMap, time::Duration};

/// Decides which occurrences are logged: the first of a kind at once, further ones as a
/// count at the end of each window. Times are durations since any fixed moment.
#[derive(Debug)]
pub struct LogLimit<K> {
    window: Duration,
    /// Open windows by kind.
    open: BTreeMap<K, Window>,
}

#[derive(Debug)]
struct Window {
    ends: Duration,
    /// Occurrences since the last line.
    held: u64,
}

impl<K: Ord + Copy> LogLimit<K> {
    /// Creates a limit with windows of this length. Kinds must be few.
    #[must_use]
    pub const fn new(window: Duration) -> Self {
        Self {
            window,
            open: BTreeMap::new(),
        }
    }

    /// Notes an occurrence. Returns true if it is to be logged at once.
    pub fn note(&mut self, kind: K, now: Duration) -> bool {
        if let Some(window) = self.open.get_mut(&kind) {
            window.held += 1;
            return false;
        }
        let ends = now.saturating_add(self.window);
        self.open.insert(kind, Window { ends, held: 0 });
        true
    }

    /// Returns the counts of the windows that ended, to be logged. A window with a count
    /// is followed by another one; after a window without one, the next occurrence is
    /// logged at once.
    pub fn due(&mut self, now: Duration) -> Vec<(K, u64)> {
        let mut due = Vec::new();
        self.open.retain(|kind, window| {
            if now < window.ends {
                return true;
            }
            if window.held == 0 {
                return false;
            }
            due.push((*kind, window.held));
            *window = Window {
                ends: now.saturating_add(self.window),
                held: 0,
            };
            true
        });
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn first_is_logged_at_once_and_the_rest_as_a_count_per_window() {
        let mut limit = LogLimit::new(60 * SECOND);
        assert!(limit.note("a", SECOND));
        assert!(!limit.note("a", 2 * SECOND));
        assert!(!limit.note("a", 60 * SECOND));
        assert_eq!(limit.due(60 * SECOND), []);
        assert_eq!(limit.due(61 * SECOND), [("a", 2)]);
        // The next window has begun.
        assert!(!limit.note("a", 62 * SECOND));
        assert_eq!(limit.due(120 * SECOND), []);
        assert_eq!(limit.due(121 * SECOND), [("a", 1)]);
    }

    #[test]
    fn after_a_quiet_window_the_next_is_logged_at_once() {
        let mut limit = LogLimit::new(60 * SECOND);
        assert!(limit.note("a", SECOND));
        assert_eq!(limit.due(61 * SECOND), []);
        assert!(limit.note("a", 62 * SECOND));
    }

    #[test]
    fn kinds_do_not_limit_each_other() {
        let mut limit = LogLimit::new(60 * SECOND);
        assert!(limit.note("a", SECOND));
        assert!(limit.note("b", SECOND));
        assert!(!limit.note("b", SECOND));
        assert_eq!(limit.due(Duration::MAX), [("b", 1)]);
    }
}
