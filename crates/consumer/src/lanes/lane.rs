//! One lane of an endpoint, in one consumer: waits until it owns the lane, and owns it.

use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::sleep;
use wahook_queue::ConnectError;

use super::{
    owner::{Owner, OwnershipEnd},
    parts::Lane,
};
use crate::session_error::SessionError;

/// Pause after a failed subscription.
const RESUBSCRIBE_PAUSE: Duration = Duration::from_secs(5);

impl Lane {
    /// Runs until the connection breaks.
    pub(super) async fn work(mut self) -> Result<Infallible, SessionError> {
        let mut has_failed = false;
        loop {
            let endpoint = Arc::clone(&self.endpoint.borrow_and_update());
            if !endpoint.settings.enabled {
                // Fails if the worker is gone, together with this task.
                let _ = self.endpoint.changed().await;
                continue;
            }
            endpoint.admission.until_resumed_by_operator().await;
            let subscription = match self.connection.subscribe_lane(&self.queue).await {
                Ok(subscription) => subscription,
                // Affects this lane only.
                Err(error @ ConnectError::NoSubscription { .. }) => {
                    tracing::warn!(lane = self.queue, %error, "subscription failed, retrying");
                    endpoint.admission.report_failure(&error.to_string());
                    has_failed = true;
                    sleep(RESUBSCRIBE_PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if std::mem::take(&mut has_failed) {
                endpoint.admission.subscribed();
            }
            let (owner, stop) = Owner::new(&self, &endpoint);
            // In a task that outlives this one, so that a stop lets it give up the lane.
            let owning = self.deliveries.spawn(owner.own(subscription));
            let end = owning.await??;
            drop(stop);
            match end {
                OwnershipEnd::Stopped | OwnershipEnd::Disabled => {}
                OwnershipEnd::Balanced => {
                    tracing::debug!(lane = self.queue, "lane given up to another consumer");
                }
                OwnershipEnd::HeldLong => {
                    tracing::info!(
                        lane = self.queue,
                        "lane given up and taken again, so that no message is held too long"
                    );
                }
                OwnershipEnd::Cancelled => {
                    tracing::warn!(
                        lane = self.queue,
                        "the broker ended the lane's subscription, subscribing again"
                    );
                    sleep(RESUBSCRIBE_PAUSE).await;
                }
                OwnershipEnd::Panicked => {
                    tracing::error!(
                        lane = self.queue,
                        "a delivery panicked, its lane is given up and taken again"
                    );
                    sleep(RESUBSCRIBE_PAUSE).await;
                }
            }
        }
    }
}
