//! Unfinished deliveries of an endpoint. They outlive their connection: the broker redelivers
//! their messages on the next one while this process still waits for the answer to the request
//! or for the confirm of the retry.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;
use wahook_domain::{AttemptNumber, EventId, QueuedEvent, UnixMillis};

/// Event, round and number of an attempt.
type Key = (EventId, UnixMillis, AttemptNumber);

/// Unfinished deliveries, each with those that wait for its end.
#[derive(Default)]
pub(crate) struct Unfinished(Mutex<HashMap<Key, Vec<oneshot::Sender<()>>>>);

/// Delivery that this process makes, until it is dropped.
pub(crate) struct Begun {
    unfinished: Arc<Unfinished>,
    /// `None` if another delivery has the same key.
    key: Option<Key>,
}

/// Wait for the end of an unfinished delivery.
pub(crate) struct Ending(oneshot::Receiver<()>);

impl Unfinished {
    /// Notes the start of a delivery.
    pub(crate) fn begin(self: &Arc<Self>, event: &QueuedEvent) -> Begun {
        let key = key_of(event);
        let is_first = match self.deliveries().entry(key.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(Vec::new());
                true
            }
            Entry::Occupied(_) => false,
        };
        Begun {
            unfinished: Arc::clone(self),
            key: is_first.then_some(key),
        }
    }

    /// Returns true if this process makes the same delivery.
    pub(crate) fn has(&self, event: &QueuedEvent) -> bool {
        self.deliveries().contains_key(&key_of(event))
    }

    /// Returns the end of the same delivery, if this process makes it.
    pub(crate) fn ending(&self, event: &QueuedEvent) -> Option<Ending> {
        let mut deliveries = self.deliveries();
        let waiting = deliveries.get_mut(&key_of(event))?;
        let (sender, ended) = oneshot::channel();
        waiting.push(sender);
        Some(Ending(ended))
    }

    fn end(&self, key: &Key) -> Vec<oneshot::Sender<()>> {
        self.deliveries().remove(key).unwrap_or_default()
    }

    fn deliveries(&self) -> MutexGuard<'_, HashMap<Key, Vec<oneshot::Sender<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ending {
    /// Waits for the end. Returns true if the consequences of the delivery are durable.
    pub(crate) async fn wait(self) -> bool {
        self.0.await.is_ok()
    }
}

impl Begun {
    /// Ends the delivery. Its consequences must be durable, and must have another key.
    pub(crate) fn conclude(mut self) {
        if let Some(key) = self.key.take() {
            for waiting in self.unfinished.end(&key) {
                // Fails for a task that was dropped by a hard stop.
                let _ = waiting.send(());
            }
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.unfinished.end(key);
        }
    }
}

fn key_of(event: &QueuedEvent) -> Key {
    (event.id.clone(), event.queued_at(), event.attempt)
}

#[cfg(test)]
mod tests;
