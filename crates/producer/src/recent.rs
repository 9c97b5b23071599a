//! Recently published events, bounded in time and in number. Pure: the time is
//! a parameter.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use sha2::{Digest, Sha256};
use wahook_domain::{EventId, UnixMillis};

/// Time for which an event is remembered.
pub(crate) const REMEMBERED_FOR: Duration = Duration::from_secs(600);
/// Limit of remembered events: 750 a second for ten minutes.
pub(crate) const MAX_REMEMBERED: usize = 450_000;

/// Half of an id's SHA-256, of one size for any id. No two ids with the same
/// half can be constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Fingerprint([u8; 16]);

impl Fingerprint {
    pub(crate) fn of(id: &EventId) -> Self {
        let digest: [u8; 32] = Sha256::digest(id.as_str()).into();
        let mut half = [0; 16];
        half.copy_from_slice(digest.split_at(16).0);
        Self(half)
    }
}

/// Fingerprints of recent events, the oldest forgotten first.
#[derive(Debug)]
pub(crate) struct Recent {
    known: HashSet<Fingerprint>,
    by_age: VecDeque<(Fingerprint, UnixMillis)>,
    remembered_for: Duration,
    at_most: usize,
}

impl Recent {
    pub(crate) fn new(remembered_for: Duration, at_most: usize) -> Self {
        Self {
            known: HashSet::new(),
            by_age: VecDeque::new(),
            remembered_for,
            at_most,
        }
    }

    /// Returns true if the event was remembered recently enough before `now`.
    pub(crate) fn contains(&mut self, fingerprint: Fingerprint, now: UnixMillis) -> bool {
        self.forget_old(now);
        self.known.contains(&fingerprint)
    }

    /// Remembers an event from `now` on; a known one keeps its time.
    pub(crate) fn remember(&mut self, fingerprint: Fingerprint, now: UnixMillis) {
        self.forget_old(now);
        if self.known.insert(fingerprint) {
            self.by_age.push_back((fingerprint, now));
            if self.by_age.len() > self.at_most {
                self.forget_oldest();
            }
        }
    }

    /// Forgets expired events. After the clock was set back, younger events
    /// behind an older one stay longer; the number still bounds them.
    fn forget_old(&mut self, now: UnixMillis) {
        while let Some((_, since)) = self.by_age.front()
            && now.since(*since) >= self.remembered_for
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((oldest, _)) = self.by_age.pop_front() {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn print(n: u8) -> Fingerprint {
        Fingerprint::of(&EventId::parse(&n.to_string()).unwrap())
    }

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis::new(seconds * 1000)
    }

    #[test]
    fn an_event_is_known_for_ten_minutes_and_no_longer() {
        let mut recent = Recent::new(REMEMBERED_FOR, 10);
        recent.remember(print(1), at(0));
        assert!(recent.contains(print(1), at(599)));
        assert!(!recent.contains(print(2), at(599)));
        assert!(!recent.contains(print(1), at(600)));
        assert!(recent.known.is_empty() && recent.by_age.is_empty());
    }

    #[test]
    fn a_repeat_does_not_prolong_the_time() {
        let mut recent = Recent::new(REMEMBERED_FOR, 10);
        recent.remember(print(1), at(0));
        recent.remember(print(1), at(400));
        assert!(!recent.contains(print(1), at(600)));
    }

    #[test]
    fn the_oldest_event_is_forgotten_first() {
        let mut recent = Recent::new(REMEMBERED_FOR, 2);
        for n in 1..=3 {
            recent.remember(print(n), at(0));
        }
        let known = [1, 2, 3].map(|n| recent.contains(print(n), at(0)));
        assert_eq!(known, [false, true, true]);
    }

    proptest! {
        /// Compares with a list of all events.
        #[test]
        fn exactly_the_last_and_recent_events_are_known(
            events in prop::collection::vec((0_u8..20, 0_i64..200), 1..200),
        ) {
            const AT_MOST: usize = 8;
            let mut recent = Recent::new(REMEMBERED_FOR, AT_MOST);
            let mut all: Vec<(u8, i64)> = Vec::new();
            let mut now = 0;
            for (n, pause) in events {
                now += pause;
                all.retain(|(_, since)| now - since < 600);
                let known = all.iter().any(|(known, _)| *known == n);
                prop_assert_eq!(recent.contains(print(n), at(now)), known);
                recent.remember(print(n), at(now));
                if !known {
                    all.push((n, now));
                    all.drain(..all.len().saturating_sub(AT_MOST));
                }
                prop_assert_eq!(recent.known.len(), all.len());
                prop_assert_eq!(recent.by_age.len(), all.len());
            }
        }
    }
}
