//! Was this event published already, or is it being published right now?

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use wahook_domain::EventId;
use wahook_service::clock;

use crate::recent::{Fingerprint, REMEMBERED_AT_MOST, REMEMBERED_FOR, Recent};

/// The events of the last minutes, by their ids.
pub(crate) struct Duplicates(Mutex<State>);

struct State {
    published: Recent,
    /// Each ends when its publish does, whichever way.
    in_flight: HashMap<Fingerprint, watch::Receiver<()>>,
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
    _ended: watch::Sender<()>,
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
                let Some(under_way) = state.in_flight.get(&fingerprint) else {
                    let (sender, receiver) = watch::channel(());
                    state.in_flight.insert(fingerprint, receiver);
                    return Claim::Publish(Publishing {
                        duplicates: self,
                        fingerprint,
                        _ended: sender,
                    });
                };
                under_way.clone()
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
