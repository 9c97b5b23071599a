//! Consumption of a work queue of an endpoint while the endpoint is not paused.

use futures_util::FutureExt;
use std::{mem, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::task::TaskTracker;
use wahook_queue::{ConnectError, ConsumerConnection, Received, Subscription, SubscriptionEnded};

use crate::{
    bounded_subscription::BoundedSubscription,
    deliverer::{AttemptKind, Deliverer},
    session_error::SessionError,
    work_queue::WorkQueue,
    worker::Worker,
};

/// Pause after a failed subscription, or one that ended within this time.
const RESUBSCRIBE_PAUSE: Duration = Duration::from_secs(5);
/// Time limit for the broker to deliver the last messages after a cancel.
const CANCEL_LIMIT: Duration = Duration::from_secs(10);

/// Reason for which no more deliveries start.
enum Stopped {
    /// The endpoint is paused, or has other settings. The message waited for its start.
    Ended(Option<Box<Received>>),
    /// Another number of messages fits into the queue's share of the memory.
    Resized,
    /// The broker ended the subscription, or its channel.
    Lost,
}

impl Worker {
    /// Consumes until the endpoint is paused or its settings require another subscription.
    /// Messages that were prefetched and not started are republished. A subscription with
    /// another number of large messages follows the last message of the one before.
    pub(crate) async fn consume(
        &self,
        queue: &WorkQueue,
        endpoint: &Arc<Deliverer>,
        connection: &ConsumerConnection,
        deliveries: &TaskTracker,
        changes: &mut watch::Receiver<Arc<Deliverer>>,
    ) -> Result<(), SessionError> {
        let admission = &endpoint.admission;
        let mut is_first = true;
        loop {
            let prefetch = queue.prefetch(endpoint);
            let subscribed = self.subscribe(queue, endpoint, connection, prefetch.messages());
            let Some(subscription) = subscribed.await? else {
                return Ok(());
            };
            if mem::take(&mut is_first) {
                admission.subscribed();
            }
            let memory = Arc::clone(&queue.memory);
            let mut subscription = BoundedSubscription::new(subscription, memory, prefetch);
            let since = Instant::now();
            let stopped = self.deliver_all(queue, &mut subscription, deliveries, changes);
            match stopped.await? {
                Stopped::Ended(waiting) => {
                    return self
                        .republish_rest(queue, subscription, waiting, deliveries)
                        .await;
                }
                Stopped::Lost => {
                    // RabbitMQ 4.3 keeps a consumer that it has cancelled, and would send to it again.
                    subscription.cancel().await;
                    if since.elapsed() < RESUBSCRIBE_PAUSE {
                        sleep(RESUBSCRIBE_PAUSE).await;
                    }
                    return Ok(());
                }
                Stopped::Resized => tokio::select! {
                    () = queue.memory.until_fitting() => {}
                    () = admission.until_paused() => return Ok(()),
                    _ = changes.changed() => return Ok(()),
                },
            }
        }
    }

    /// Subscribes to the queue. Returns `None`, after a pause, if only this queue cannot
    /// be consumed.
    async fn subscribe(
        &self,
        queue: &WorkQueue,
        endpoint: &Deliverer,
        connection: &ConsumerConnection,
        prefetch: u16,
    ) -> Result<Option<Subscription>, SessionError> {
        match connection.subscribe(&queue.name, prefetch).await {
            Ok(subscription) => Ok(Some(subscription)),
            // Affects this endpoint only: the others keep their subscriptions.
            Err(error @ ConnectError::NoSubscription { .. }) => {
                tracing::warn!(endpoint = %self.name(), %error, "subscription failed, retrying");
                endpoint.admission.report_failure(&error.to_string());
                sleep(RESUBSCRIBE_PAUSE).await;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Starts deliveries until a subscription ends: if another number of messages fits, with
    /// its last message.
    async fn deliver_all(
        &self,
        queue: &WorkQueue,
        subscription: &mut BoundedSubscription,
        deliveries: &TaskTracker,
        changes: &mut watch::Receiver<Arc<Deliverer>>,
    ) -> Result<Stopped, SessionError> {
        loop {
            match self
                .start_deliveries(queue, subscription, deliveries, changes)
                .await
            {
                Ok(Stopped::Resized) => subscription.cancel().await,
                Ok(stopped) => return Ok(stopped),
                Err(SubscriptionEnded::Cancelled) if subscription.is_cancelled() => {
                    return Ok(Stopped::Resized);
                }
                Err(error @ SubscriptionEnded::Forgotten { .. }) => {
                    tracing::warn!(endpoint = %self.name(), %error, "subscription stalled, resubscribing");
                    return Ok(Stopped::Ended(None));
                }
                // The other endpoints keep their subscriptions.
                Err(error) if error.spares_connection() => {
                    tracing::warn!(endpoint = %self.name(), %error, "subscription ended, resubscribing");
                    return Ok(Stopped::Lost);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Starts a delivery for each message that the admission allows, until the endpoint
    /// is paused or needs another prefetch.
    async fn start_deliveries(
        &self,
        queue: &WorkQueue,
        subscription: &mut BoundedSubscription,
        deliveries: &TaskTracker,
        changes: &mut watch::Receiver<Arc<Deliverer>>,
    ) -> Result<Stopped, SubscriptionEnded> {
        loop {
            let endpoint = Arc::clone(&changes.borrow_and_update());
            let admission = &endpoint.admission;
            if !endpoint.settings.enabled
                || queue.by_rate(&endpoint) != subscription.prefetch().by_rate
                || admission.is_paused()
            {
                return Ok(Stopped::Ended(None));
            }
            if subscription.is_outdated() {
                return Ok(Stopped::Resized);
            }
            let received = tokio::select! {
                // Dropping this future loses no message.
                received = subscription.next() => received?,
                () = admission.until_paused() => continue,
                _ = changes.changed() => continue,
            };
            let Some(received) = received else {
                continue;
            };
            if endpoint.drops_message(&received) {
                endpoint.set_aside(received, deliveries);
                continue;
            }
            // After the message, so that lanes have the permits while there is none.
            let started = async {
                let permit = permit(&endpoint, subscription, changes).await?;
                let started = tokio::select! {
                    // Usually at once, and then without a look at the subscription.
                    biased;
                    started = admission.start() => started?,
                    () = subscription.receive() => return None,
                };
                Some((permit, started))
            };
            let Some((permit, started)) = started.await else {
                return Ok(Stopped::Ended(Some(Box::new(received))));
            };
            let endpoint = self.current();
            // Boxed here: the runtime moves a task several times while it is spawned,
            // and a whole delivery takes some KiB.
            deliveries.spawn(Box::pin(async move {
                endpoint
                    .deliver(received, permit, AttemptKind::Delivery(started))
                    .await;
            }));
        }
    }

    /// Cancels the subscription and republishes the messages that were not started.
    async fn republish_rest(
        &self,
        queue: &WorkQueue,
        mut subscription: BoundedSubscription,
        waiting: Option<Box<Received>>,
        deliveries: &TaskTracker,
    ) -> Result<(), SessionError> {
        let current = self.current();
        waiting
            .into_iter()
            .for_each(|received| current.set_aside(*received, deliveries));
        subscription.cancel().await;
        let republish_rest = async {
            loop {
                match subscription.next().await {
                    Ok(received) => received
                        .into_iter()
                        .for_each(|received| current.set_aside(received, deliveries)),
                    Err(SubscriptionEnded::Cancelled) => return Ok(()),
                    Err(broken) => return Err(broken.into()),
                }
            }
        };
        let queue = queue.name.clone();
        timeout(CANCEL_LIMIT, republish_rest)
            .await
            .unwrap_or_else(|_| Err(SessionError::NotCancelled { queue }))
    }
}

/// Waits for a permit, and receives messages meanwhile. Returns `None` if the endpoint is
/// paused or changed before.
async fn permit(
    endpoint: &Deliverer,
    subscription: &mut BoundedSubscription,
    changes: &mut watch::Receiver<Arc<Deliverer>>,
) -> Option<OwnedSemaphorePermit> {
    let admission = &endpoint.admission;
    if let Some(permit) = admission.permit().now_or_never() {
        return permit;
    }
    tokio::select! {
        permit = admission.permit() => permit,
        () = admission.until_paused() => None,
        _ = changes.changed() => None,
        () = subscription.receive() => None,
    }
}
