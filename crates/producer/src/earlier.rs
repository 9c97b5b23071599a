//! Idempotency keys of events that were accepted before this process started.

use std::{pin::Pin, sync::Arc, time::Duration};

use wahook_domain::{ContentHash, EventId, QueuedEvent, UnixMillis};
use wahook_runtime::clock;

/// Future of [`EarlierEvents::has_another`].
pub type EarlierFuture<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

/// Log of the events of earlier processes.
pub trait EarlierEvents: Send + Sync {
    /// Returns true if another event with the id of this one was accepted at or after `since`.
    /// `event` is in canonical form. Returns false if the log is unavailable.
    fn has_another<'a>(&'a self, event: &'a QueuedEvent, since: UnixMillis) -> EarlierFuture<'a>;
}

/// Search for keys of other events, for as long as earlier events count as repeated.
pub(crate) struct Earlier {
    events: Arc<dyn EarlierEvents>,
    started_at: UnixMillis,
    remembered_for: Duration,
}

impl Earlier {
    pub(crate) fn new(events: Arc<dyn EarlierEvents>, remembered_for: Duration) -> Self {
        Self {
            events,
            started_at: clock::now(),
            remembered_for,
        }
    }

    /// Returns true if the event has the key of another event of an earlier process. The id of
    /// an event without a key is derived from its content, so no other event has it. Events in a
    /// gateway's own form are not compared.
    pub(crate) async fn has_another(&self, event: &QueuedEvent, content: ContentHash) -> bool {
        let since = clock::now().minus(self.remembered_for);
        since < self.started_at
            && event.origin.is_none()
            && event.id != EventId::from(content)
            && self.events.has_another(event, since).await
    }
}
