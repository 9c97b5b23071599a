//! Detection of events that were published recently or are being published now.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use wahook_domain::{ContentHash, EventId};
use wahook_runtime::clock;

use crate::recent::{Fingerprint, MAX_REMEMBERED, Recent};

/// Events of the last minutes, by id.
pub(crate) struct Duplicates(Mutex<State>);

struct State {
    published: Recent,
    /// Publishes in flight. The sender is dropped at the publish's end; it
    /// exists only if another request waits for that.
    in_flight: HashMap<Fingerprint, Option<watch::Sender<()>>>,
}

/// Decision about an event.
pub(crate) enum Decision<'a> {
    /// The caller publishes it; the guard marks it as in flight.
    Publish(PublishGuard<'a>),
    /// The event is published already.
    Duplicate,
    /// Another event with this id is published already.
    Conflict,
}

/// Marks an event as in flight. Dropping it without
/// [`confirmed`](Self::confirmed) lets the next request with the same id
/// publish.
pub(crate) struct PublishGuard<'a> {
    duplicates: &'a Duplicates,
    fingerprint: Fingerprint,
    content: ContentHash,
}

impl Duplicates {
    pub(crate) fn new(remembered_for: Duration) -> Self {
        Self(Mutex::new(State {
            published: Recent::new(remembered_for, MAX_REMEMBERED),
            in_flight: HashMap::new(),
        }))
    }

    /// Waits for a publish of the same event that is in flight, then decides.
    pub(crate) async fn begin(&self, id: &EventId, content: ContentHash) -> Decision<'_> {
        let fingerprint = Fingerprint::of(id);
        loop {
            let mut other_publish = {
                let mut state = self.state();
                match state.published.find(fingerprint, clock::now()) {
                    Some(published) if published == content => return Decision::Duplicate,
                    Some(_) => return Decision::Conflict,
                    None => {}
                }
                match state.in_flight.entry(fingerprint) {
                    Entry::Vacant(entry) => {
                        entry.insert(None);
                        return Decision::Publish(PublishGuard {
                            duplicates: self,
                            fingerprint,
                            content,
                        });
                    }
                    Entry::Occupied(other) => other
                        .into_mut()
                        .get_or_insert_with(watch::Sender::default)
                        .subscribe(),
                }
            };
            // No value is ever sent: the wait ends when the sender is dropped.
            let _ = other_publish.changed().await;
        }
    }

    /// Every step under the lock leaves the state consistent.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PublishGuard<'_> {
    /// Remembers the event as published.
    pub(crate) fn confirmed(self) {
        let mut state = self.duplicates.state();
        let published = &mut state.published;
        published.remember(self.fingerprint, self.content, clock::now());
    }
}

impl Drop for PublishGuard<'_> {
    fn drop(&mut self) {
        self.duplicates.state().in_flight.remove(&self.fingerprint);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::recent::tests::{REMEMBERED_FOR, content};
    use tokio::time::timeout;

    fn id() -> EventId {
        EventId::parse("order-17").unwrap()
    }

    async fn begin(duplicates: &Duplicates) -> PublishGuard<'_> {
        match duplicates.begin(&id(), content(1)).await {
            Decision::Publish(guard) => guard,
            Decision::Duplicate | Decision::Conflict => panic!("published already"),
        }
    }

    /// Starts a second request with the same id, which returns whether it is a
    /// duplicate.
    async fn second(duplicates: &Arc<Duplicates>) -> tokio::task::JoinHandle<bool> {
        let shared = Arc::clone(duplicates);
        let second = tokio::spawn(async move {
            matches!(shared.begin(&id(), content(1)).await, Decision::Duplicate)
        });
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
    async fn a_second_request_is_a_duplicate_once_the_first_is_confirmed() {
        let duplicates = Arc::new(Duplicates::new(REMEMBERED_FOR));
        let first = begin(&duplicates).await;
        let second = second(&duplicates).await;
        first.confirmed();
        assert!(outcome(second).await);
        assert!(matches!(
            duplicates.begin(&id(), content(1)).await,
            Decision::Duplicate
        ));
        assert!(duplicates.state().in_flight.is_empty());
    }

    #[tokio::test]
    async fn a_second_request_publishes_when_the_first_failed() {
        let duplicates = Arc::new(Duplicates::new(REMEMBERED_FOR));
        let first = begin(&duplicates).await;
        let second = second(&duplicates).await;
        drop(first);
        assert!(!outcome(second).await);
        drop(begin(&duplicates).await);
    }

    #[tokio::test]
    async fn another_event_with_the_same_id_is_a_conflict() {
        let duplicates = Duplicates::new(REMEMBERED_FOR);
        begin(&duplicates).await.confirmed();
        assert!(matches!(
            duplicates.begin(&id(), content(2)).await,
            Decision::Conflict
        ));
        assert!(matches!(
            duplicates.begin(&id(), content(1)).await,
            Decision::Duplicate
        ));
    }
}
