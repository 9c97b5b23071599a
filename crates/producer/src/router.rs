//! Does any endpoint want this event? Only the broker knows, and only its answer
//! counts; what is remembered here merely says what to ask first.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use wahook_domain::{EventName, QueuedEvent};
use wahook_queue::{Outgoing, PublishError, Publisher};

/// Names that are remembered. Gateways may send any name, so there is an end.
const MOST: usize = 1_000;

/// Where a published event went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routed {
    /// At least one endpoint's queue has it, durably.
    Queued,
    /// Nowhere: no endpoint wants events of this name.
    Unwanted,
}

/// The names that were found to be wanted by nobody.
///
/// An event that is published although nobody wants it comes back from the
/// broker, which makes the confirms of others ambiguous for a moment. So names
/// that came back before are asked about first.
#[derive(Debug, Default)]
pub(crate) struct EventRouter(Mutex<HashSet<EventName>>);

impl EventRouter {
    /// Publishes an event, and says that it is unwanted only where the broker
    /// has confirmed that consumers have declared what their endpoints want and
    /// that this is not among it. So an event whose queue is missing is an error.
    pub(crate) async fn publish(
        &self,
        publisher: &Publisher,
        event: &QueuedEvent,
    ) -> Result<Routed, PublishError> {
        if self.names().contains(&event.name) && self.ask(publisher, event).await? {
            return Ok(Routed::Unwanted);
        }
        match publisher.publish(Outgoing::event(event)).await {
            Ok(()) => return Ok(Routed::Queued),
            Err(PublishError::Unroutable) => {}
            Err(other) => return Err(other),
        }
        if self.ask(publisher, event).await? {
            return Ok(Routed::Unwanted);
        }
        // It is wanted. Perhaps it only shared its confirm with one that came
        // back, or its endpoint has just been declared.
        publisher.publish(Outgoing::event(event)).await?;
        Ok(Routed::Queued)
    }

    async fn ask(&self, publisher: &Publisher, event: &QueuedEvent) -> Result<bool, PublishError> {
        let is_unwanted = match publisher.publish(Outgoing::is_unwanted(event)).await {
            Ok(()) => true,
            Err(PublishError::Unroutable) => false,
            Err(other) => return Err(other),
        };
        let mut names = self.names();
        if !is_unwanted {
            names.remove(&event.name);
        } else {
            if names.len() >= MOST {
                names.clear();
            }
            names.insert(event.name.clone());
        }
        Ok(is_unwanted)
    }

    fn names(&self) -> MutexGuard<'_, HashSet<EventName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
