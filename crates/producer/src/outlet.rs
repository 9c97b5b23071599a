//! Destination of accepted events: the broker, or the spool while the broker takes none.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use wahook_domain::QueuedEvent;
use wahook_queue::{PublishError, Publisher};

use crate::{
    router::{EventRouter, RouteOutcome},
    spool::{NotStored, Spool},
};

/// Time without a confirm after which an event goes to the spool. Shorter than the limit
/// without a spool: many gateways wait for 5 s only.
const SPOOLED_AFTER: Duration = Duration::from_secs(2);

/// Publishes events to the broker, in their order after those in the spool.
pub(crate) struct Outlet {
    publisher: Publisher,
    router: Arc<EventRouter>,
    spool: Option<Arc<Spool>>,
}

/// Reason for which an event is not known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAccepted {
    /// The broker did not confirm it, and there is no spool, or the event is not for it.
    #[error(transparent)]
    Broker(#[from] PublishError),
    /// The broker takes no events, and the spool has no room for the event.
    #[error("the spool is full")]
    SpoolFull,
    /// The broker takes no events, and the spool can't be written: the event may be in it or
    /// not.
    #[error("the spool can't be written")]
    SpoolUnusable,
}

impl From<NotStored> for NotAccepted {
    fn from(error: NotStored) -> Self {
        match error {
            NotStored::Full => Self::SpoolFull,
            NotStored::Unusable => Self::SpoolUnusable,
        }
    }
}

impl Outlet {
    pub(crate) fn new(
        publisher: Publisher,
        router: Arc<EventRouter>,
        spool: Option<Arc<Spool>>,
    ) -> Self {
        Self {
            publisher,
            router,
            spool,
        }
    }

    /// Publishes an event, or stores it in the spool.
    pub(crate) async fn publish(&self, event: &QueuedEvent) -> Result<RouteOutcome, NotAccepted> {
        match &self.spool {
            None => Ok(self.router.publish(&self.publisher, event).await?),
            // In a box, so that the path without a spool does not grow.
            Some(spool) => Box::pin(self.publish_or_spool(spool, event)).await,
        }
    }

    /// Publishes an event while the broker takes events and none is spooled; later events of
    /// the same sender must not overtake those in the spool.
    async fn publish_or_spool(
        &self,
        spool: &Arc<Spool>,
        event: &QueuedEvent,
    ) -> Result<RouteOutcome, NotAccepted> {
        let mut cause = PublishError::Disconnected;
        if self.takes_events() && !spool.holds_back() {
            let direct = self.router.publish(&self.publisher, event);
            let direct = timeout(SPOOLED_AFTER, direct).await;
            match direct.unwrap_or(Err(PublishError::TimedOut)) {
                Ok(outcome) => return Ok(outcome),
                // The broker works, but its endpoints are not declared.
                Err(PublishError::Unroutable) => return Err(PublishError::Unroutable.into()),
                Err(error) => cause = error,
            }
        }
        spool.store(event, cause).await?;
        Ok(RouteOutcome::Spooled)
    }

    fn takes_events(&self) -> bool {
        let link = self.publisher.link();
        let link = link.borrow();
        link.up && link.blocked.is_none()
    }
}
