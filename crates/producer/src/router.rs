//! Publishing of events, with detection of those that no endpoint wants.
//!
//! Only the broker's answer counts; the remembered names merely decide what is
//! sent first.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use wahook_domain::{EventName, QueuedEvent};
use wahook_queue::{Outgoing, PublishError, Publisher};

/// Limit of remembered names, because gateways may send any name.
const MAX_NAMES: usize = 1_000;

/// Limit of queries for one event. While many events that no endpoint wants are published at
/// once, the confirms of query and event can both carry returns of others.
const RESOLVE_ROUNDS: usize = 3;

/// Result of publishing an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteOutcome {
    /// At least one endpoint's queue has the event, durably.
    Queued,
    /// No endpoint wants events of this name.
    Unwanted,
    /// The spool has the event, durably. The broker decides later which endpoints
    /// want it.
    Spooled,
}

impl RouteOutcome {
    /// Returns the outcome for traces.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Unwanted => "unwanted",
            Self::Spooled => "spooled",
        }
    }
}

/// Publishes events and remembers the names that no endpoint wants.
///
/// The broker returns an event that no endpoint wants, which makes the confirms
/// of others ambiguous for a moment. So for names that were returned before,
/// the query is sent first.
#[derive(Debug, Default)]
pub(crate) struct EventRouter(Mutex<HashSet<EventName>>);

impl EventRouter {
    /// Publishes an event. It is unwanted only if the broker has confirmed that
    /// consumers have declared their endpoints' filters and that none of them
    /// matches. So a missing queue is an error.
    pub(crate) async fn publish(
        &self,
        publisher: &Publisher,
        event: &QueuedEvent,
    ) -> Result<RouteOutcome, PublishError> {
        if self.names().contains(&event.name) && self.query_unwanted(publisher, event).await? {
            return Ok(RouteOutcome::Unwanted);
        }
        match publisher.publish(Outgoing::event(event)).await {
            Ok(()) => Ok(RouteOutcome::Queued),
            Err(error) if error.may_be_unrouted() => {
                self.resolve_unroutable(publisher, event).await
            }
            Err(other) => Err(other),
        }
    }

    /// Decides about an event that the broker has returned, or may have: it is unwanted, or
    /// is published again.
    pub(crate) async fn resolve_unroutable(
        &self,
        publisher: &Publisher,
        event: &QueuedEvent,
    ) -> Result<RouteOutcome, PublishError> {
        let mut published = Err(PublishError::Unroutable);
        for round in 1..=RESOLVE_ROUNDS {
            if self.query_unwanted(publisher, event).await? {
                return Ok(RouteOutcome::Unwanted);
            }
            // The event is wanted: its endpoint has just been declared, or its confirm was
            // ambiguous.
            let mut message = Outgoing::event(event);
            if round == RESOLVE_ROUNDS {
                // A consumer of an earlier version has no bindings for keys.
                message = message.without_key();
            }
            published = publisher.publish(message).await;
            if !published.is_err_and(PublishError::may_be_unrouted) {
                break;
            }
        }
        published.map(|()| RouteOutcome::Queued)
    }

    /// Queries the broker whether no endpoint wants events of this name.
    pub(crate) async fn query_unwanted(
        &self,
        publisher: &Publisher,
        event: &QueuedEvent,
    ) -> Result<bool, PublishError> {
        let is_unwanted = match publisher.publish(Outgoing::unwanted_query(event)).await {
            Ok(()) => true,
            // A query without an answer leaves the event wanted.
            Err(error) if error.may_be_unrouted() => false,
            Err(other) => return Err(other),
        };
        let mut names = self.names();
        if !is_unwanted {
            names.remove(&event.name);
        } else {
            if names.len() >= MAX_NAMES {
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
