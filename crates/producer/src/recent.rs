//! Recently published events, bounded in time and in number. Pure: the time is
//! a parameter.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    time::Duration,
};

use sha2::{Digest, Sha256};
use wahook_domain::{ContentHash, EventId, UnixMillis};

/// Limit of remembered events: 750 a second for the default of ten minutes.
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
    known: HashMap<Fingerprint, ContentHash>,
    by_age: VecDeque<(Fingerprint, UnixMillis)>,
    remembered_for: Duration,
    at_most: usize,
}

impl Recent {
    pub(crate) fn new(remembered_for: Duration, at_most: usize) -> Self {
        Self {
            known: HashMap::new(),
            by_age: VecDeque::new(),
            remembered_for,
            at_most,
        }
    }

    /// Returns the content of an event that was remembered recently enough before `now`.
    pub(crate) fn find(
        &mut self,
        fingerprint: Fingerprint,
        now: UnixMillis,
    ) -> Option<ContentHash> {
        self.forget_old(now);
        self.known.get(&fingerprint).copied()
    }

    /// Remembers an event from `now` on; a known one keeps its time and content.
    pub(crate) fn remember(
        &mut self,
        fingerprint: Fingerprint,
        content: ContentHash,
        now: UnixMillis,
    ) {
        self.forget_old(now);
        if let Entry::Vacant(new) = self.known.entry(fingerprint) {
            new.insert(content);
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
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use wahook_domain::{Ingest, Validation, ingest};

    pub(crate) const REMEMBERED_FOR: Duration = Duration::from_secs(600);

    fn print(n: u8) -> Fingerprint {
        Fingerprint::of(&EventId::parse(&n.to_string()).unwrap())
    }

    pub(crate) fn content(n: u8) -> ContentHash {
        let raw = format!(r#"{{"event":"ping","data":{{"n":{n}}},"timestamp":1}}"#);
        let context = Ingest {
            validation: Validation::Lenient,
            now: at(0),
            idempotency_key: None,
        };
        let fresh = || panic!("the event has a time");
        ingest(raw.as_bytes(), context, fresh)
            .unwrap()
            .content
            .unwrap()
    }

    fn contains(recent: &mut Recent, known: Fingerprint, now: UnixMillis) -> bool {
        recent.find(known, now).is_some()
    }

    fn at(seconds: i64) -> UnixMillis {
        UnixMillis::new(seconds * 1000)
    }

    #[test]
    fn an_event_is_known_for_ten_minutes_and_no_longer() {
        let mut recent = Recent::new(REMEMBERED_FOR, 10);
        recent.remember(print(1), content(1), at(0));
        assert!(contains(&mut recent, print(1), at(599)));
        assert!(!contains(&mut recent, print(2), at(599)));
        assert!(!contains(&mut recent, print(1), at(600)));
        assert!(recent.known.is_empty() && recent.by_age.is_empty());
    }

    #[test]
    fn a_repeat_changes_neither_time_nor_content() {
        let mut recent = Recent::new(REMEMBERED_FOR, 10);
        recent.remember(print(1), content(1), at(0));
        recent.remember(print(1), content(2), at(400));
        assert_eq!(recent.find(print(1), at(400)), Some(content(1)));
        assert!(!contains(&mut recent, print(1), at(600)));
    }

    #[test]
    fn the_oldest_event_is_forgotten_first() {
        let mut recent = Recent::new(REMEMBERED_FOR, 2);
        for n in 1..=3 {
            recent.remember(print(n), content(n), at(0));
        }
        let known = [1, 2, 3].map(|n| contains(&mut recent, print(n), at(0)));
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
                prop_assert_eq!(contains(&mut recent, print(n), at(now)), known);
                recent.remember(print(n), content(n), at(now));
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
