//! Panics of deliveries in the lanes of an endpoint, by event.
//!
//! A panic gives the lane up, and the event returns with the others. Only the event whose run
//! panicked is counted: the others that its owner held are innocent.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use wahook_domain::EventId;

/// Panics after which no further attempt is made.
pub(super) const MOST_PANICS: u32 = 3;
/// Limit of the events that are remembered. Events that are delivered in the end stay.
const REMEMBERED: usize = 1_000;

/// Number of panics of each event, in this process and on this connection.
#[derive(Default)]
pub(super) struct Panics(Mutex<BTreeMap<EventId, u32>>);

impl Panics {
    /// Counts a panic of the event's run.
    pub(super) fn note(&self, event: &EventId) {
        let mut panics = self.lock();
        if panics.len() >= REMEMBERED && !panics.contains_key(event) {
            panics.pop_first();
        }
        let count = panics.entry(event.clone()).or_default();
        *count = count.saturating_add(1);
    }

    /// Returns true if the event must end without a further attempt.
    pub(super) fn are_too_many(&self, event: &EventId) -> bool {
        self.of(event) >= MOST_PANICS
    }

    /// Returns true if even the end without an attempt panicked.
    pub(super) fn are_endless(&self, event: &EventId) -> bool {
        self.of(event) > MOST_PANICS
    }

    fn of(&self, event: &EventId) -> u32 {
        self.lock().get(event).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<EventId, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> EventId {
        EventId::parse(&format!("event-{number}")).unwrap()
    }

    #[test]
    fn third_panic_ends_the_attempts_of_its_event_alone_and_the_fourth_its_run() {
        let panics = Panics::default();
        for (too_many, endless) in [(false, false), (false, false), (true, false), (true, true)] {
            panics.note(&id(1));
            assert_eq!(panics.are_too_many(&id(1)), too_many);
            assert_eq!(panics.are_endless(&id(1)), endless);
        }
        assert!(!panics.are_too_many(&id(2)));
    }

    #[test]
    fn remembered_events_are_limited() {
        let panics = Panics::default();
        (0..2 * REMEMBERED).for_each(|number| panics.note(&id(number)));
        assert_eq!(panics.lock().len(), REMEMBERED);
    }
}
