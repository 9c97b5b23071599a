//! Was this event published already, or is it being published right now?

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use wahook_domain::EventId;
use wahook_runtime::clock;

use crate::recent::{Fingerprint, REMEMBERED_AT_MOST, REMEMBERED_FOR, Recent};

/// The events of the last minutes, by their ids.
pub(crate) struct Duplicates(Mutex<State>);

struct State {
    published: Recent,
    /// Until each publish ends, whichever way; with what ends then, where somebody
    /// waits for it.
    in_flight: HashMap<Fingerprint, Option<watch::Sender<()>>>,
}

/// What is to be done with an event.
pub(crate) enum Claim<'a> {
    /// It is published by whoever holds this.
    Publish(Publishing<'a>),
    /// It was published.
    Duplicate,
}

/// The right to publish an event. Dropped, it leaves the event to the next who
/// has it.
pub(crate) struct Publishing<'a> {
    duplicates: &'a Duplicates,
    fingerprint: Fingerprint,
}

impl Duplicates {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State {
            published: Recent::new(REMEMBERED_FOR, REMEMBERED_AT_MOST),
            in_flight: HashMap::new(),
        }))
    }

    /// Waits for a publish of the same event that is under way.
    pub(crate) async fn claim(&self, id: &EventId) -> Claim<'_> {
        let fingerprint = Fingerprint::of(id);
        loop {
            let mut under_way = {
                let mut state = self.state();
                if state.published.contains(fingerprint, clock::now()) {
                    return Claim::Duplicate;
                }
                match state.in_flight.entry(fingerprint) {
                    Entry::Vacant(free) => {
                        free.insert(None);
                        return Claim::Publish(Publishing {
                            duplicates: self,
                            fingerprint,
                        });
                    }
                    Entry::Occupied(taken) => taken
                        .into_mut()
                        .get_or_insert_with(watch::Sender::default)
                        .subscribe(),
                }
            };
            // Nothing is ever sent: this ends with the sender.
            let _ = under_way.changed().await;
        }
    }

    /// Every step under the lock leaves the state whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publishing<'_> {
    /// The broker has confirmed the event.
    pub(crate) fn confirmed(self) {
        let mut state = self.duplicates.state();
        state.published.remember(self.fingerprint, clock::now());
    }
}

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        self.duplicates.state().in_flight.remove(&self.fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::time::timeout;

    use super::*;

    fn id() -> EventId {
        EventId::parse("order-17").unwrap()
    }

    async fn publishing(duplicates: &Duplicates) -> Publishing<'_> {
        match duplicates.claim(&id()).await {
            Claim::Publish(publishing) => publishing,
            Claim::Duplicate => panic!("a duplicate"),
        }
    }

    /// A second request with the same id, which says whether it is a duplicate.
    async fn second(duplicates: &Arc<Duplicates>) -> tokio::task::JoinHandle<bool> {
        let shared = Arc::clone(duplicates);
        let second =
            tokio::spawn(async move { matches!(shared.claim(&id()).await, Claim::Duplicate) });
        tokio::task::yield_now().await;
        assert!(!second.is_finished(), "it waits for the first");
        second
    }

    async fn outcome(second: tokio::task::JoinHandle<bool>) -> bool {
        timeout(Duration::from_secs(5), second)
            .await
            .unwrap()
            .unwrap()
    }

    #[tokio::test]
    async fn the_second_is_a_duplicate_once_the_first_is_confirmed() {
        let duplicates = Arc::new(Duplicates::new());
        let first = publishing(&duplicates).await;
        let second = second(&duplicates).await;
        first.confirmed();
        assert!(outcome(second).await);
        assert!(matches!(duplicates.claim(&id()).await, Claim::Duplicate));
        assert!(duplicates.state().in_flight.is_empty());
    }

    #[tokio::test]
    async fn the_second_publishes_when_the_first_failed() {
        let duplicates = Arc::new(Duplicates::new());
        let first = publishing(&duplicates).await;
        let second = second(&duplicates).await;
        drop(first);
        assert!(!outcome(second).await);
        drop(publishing(&duplicates).await);
    }
}
