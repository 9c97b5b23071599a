//! Worker of one endpoint on one connection: consumes its work queue as fast as
//! its admission allows and, while the endpoint is paused, probes it with single events.

use futures_util::FutureExt;
use std::{collections::BTreeSet, convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::task::TaskTracker;
use wahook_domain::EndpointName;
use wahook_queue::{
    ConnectError, ConsumerConnection, Received, Subscription, SubscriptionEnded, topology,
};

use crate::{
    deliverer::{AttemptKind, Deliverer},
    session_error::SessionError,
    sharing::track_consumers,
};

/// Pause after a probe found the queue empty.
const EMPTY_PAUSE: Duration = Duration::from_secs(1);
/// Pause after a failed subscription, or one that ended within this time.
const RESUBSCRIBE_PAUSE: Duration = Duration::from_secs(5);
/// Time limit for the broker to deliver the last messages after a cancel.
const CANCEL_LIMIT: Duration = Duration::from_secs(10);

/// Delivers one endpoint's events. The endpoint's settings may change at any time.
pub(crate) struct Worker {
    name: EndpointName,
    endpoint: watch::Sender<Arc<Deliverer>>,
    /// Queues of the lanes that the endpoint had with other settings.
    earlier_lanes: watch::Sender<BTreeSet<String>>,
}

impl Worker {
    pub(crate) fn new(endpoint: Arc<Deliverer>) -> Self {
        Self {
            name: endpoint.name.clone(),
            endpoint: watch::Sender::new(endpoint),
            earlier_lanes: watch::Sender::default(),
        }
    }

    pub(crate) fn name(&self) -> &EndpointName {
        &self.name
    }

    /// Uses this deliverer from the next attempt on.
    pub(crate) fn replace_deliverer(&self, endpoint: &Arc<Deliverer>) {
        let mut left = Vec::new();
        self.endpoint.send_if_modified(|now| {
            let is_other = !Arc::ptr_eq(now, endpoint);
            if is_other {
                let kept = &endpoint.lanes;
                left.extend(
                    now.lanes
                        .iter()
                        .filter(|lane| !kept.contains(lane))
                        .cloned(),
                );
                *now = Arc::clone(endpoint);
                endpoint.take_effect();
            }
            is_other
        });
        self.serve_earlier_lanes(left);
    }

    /// Returns the deliverer to use, now and after changes.
    pub(crate) fn deliverers(&self) -> watch::Receiver<Arc<Deliverer>> {
        self.endpoint.subscribe()
    }

    /// Returns the queues of the lanes that the endpoint had with other settings.
    pub(crate) fn earlier_lanes(&self) -> watch::Receiver<BTreeSet<String>> {
        self.earlier_lanes.subscribe()
    }

    /// Serves these lanes as well, as long as this worker lives.
    pub(crate) fn serve_earlier_lanes(&self, queues: Vec<String>) {
        self.earlier_lanes.send_if_modified(|now| {
            let before = now.len();
            now.extend(queues);
            now.len() > before
        });
    }

    /// Runs until the connection breaks.
    pub(crate) async fn work(
        &self,
        connection: &ConsumerConnection,
        deliveries: &TaskTracker,
    ) -> Result<Infallible, SessionError> {
        loop {
            let mut changes = self.endpoint.subscribe();
            let endpoint = Arc::clone(&changes.borrow_and_update());
            if endpoint.admission.is_paused_by_operator() {
                endpoint.admission.until_resumed_by_operator().await;
            } else if !endpoint.settings.enabled {
                // Cannot fail: `self` owns the sender.
                let _ = changes.changed().await;
            } else if endpoint.admission.is_paused() {
                self.probe(&endpoint, connection, deliveries, &mut changes)
                    .await?;
            } else {
                tokio::select! {
                    ended = self.consume(&endpoint, connection, deliveries, &mut changes) => ended?,
                    Err(error) = track_consumers(&endpoint, connection) => return Err(error),
                }
            }
        }
    }

    /// Consumes until the endpoint is paused or its subscription must be replaced.
    /// Messages that were prefetched and not started are republished.
    async fn consume(
        &self,
        endpoint: &Arc<Deliverer>,
        connection: &ConsumerConnection,
        deliveries: &TaskTracker,
        changes: &mut watch::Receiver<Arc<Deliverer>>,
    ) -> Result<(), SessionError> {
        let queue = topology::work_queue(&self.name);
        let prefetch = endpoint.admission.prefetch();
        let mut subscription = match connection.subscribe(&queue, prefetch).await {
            Ok(subscription) => subscription,
            // Affects this endpoint only: the others keep their subscriptions.
            Err(error @ ConnectError::NoSubscription { .. }) => {
                tracing::warn!(endpoint = %self.name, %error, "subscription failed, retrying");
                endpoint.admission.report_failure(&error.to_string());
                sleep(RESUBSCRIBE_PAUSE).await;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        endpoint.admission.subscribed();
        let since = Instant::now();
        let ended = self.start_deliveries(&mut subscription, prefetch, deliveries, changes);
        let waiting = match ended.await {
            Ok(waiting) => waiting,
            Err(error @ SubscriptionEnded::Forgotten { .. }) => {
                tracing::warn!(endpoint = %self.name, %error, "subscription stalled, resubscribing");
                None
            }
            // The other endpoints keep their subscriptions.
            Err(error) if error.spares_connection() => {
                tracing::warn!(endpoint = %self.name, %error, "subscription ended, resubscribing");
                // RabbitMQ 4.3 keeps a consumer that it has cancelled, and would send to it again.
                subscription.cancel().await;
                if since.elapsed() < RESUBSCRIBE_PAUSE {
                    sleep(RESUBSCRIBE_PAUSE).await;
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let current = self.current();
        waiting
            .into_iter()
            .for_each(|received| settle_unattempted(&current, received, deliveries));
        subscription.cancel().await;
        let republish_rest = async {
            loop {
                match subscription.next().await {
                    Ok(received) => settle_unattempted(&current, received, deliveries),
                    Err(SubscriptionEnded::Cancelled) => return Ok(()),
                    Err(broken) => return Err(broken.into()),
                }
            }
        };
        timeout(CANCEL_LIMIT, republish_rest)
            .await
            .unwrap_or_else(|_| Err(SessionError::NotCancelled { queue }))
    }

    /// Starts a delivery for each message that the admission allows, until the endpoint
    /// is paused or needs another `prefetch`. Returns the message that was waiting for
    /// its start time when the endpoint was paused.
    async fn start_deliveries(
        &self,
        subscription: &mut Subscription,
        prefetch: u16,
        deliveries: &TaskTracker,
        changes: &mut watch::Receiver<Arc<Deliverer>>,
    ) -> Result<Option<Received>, SubscriptionEnded> {
        loop {
            let endpoint = Arc::clone(&changes.borrow_and_update());
            let admission = &endpoint.admission;
            if !endpoint.settings.enabled
                || admission.prefetch() != prefetch
                || admission.is_paused()
            {
                return Ok(None);
            }
            let received = tokio::select! {
                // Dropping this future loses no message.
                received = subscription.next() => received?,
                () = admission.until_paused() => continue,
                _ = changes.changed() => continue,
            };
            if endpoint.drops_message(&received) {
                settle_unattempted(&endpoint, received, deliveries);
                continue;
            }
            // After the message, so that lanes have the permits while there is none.
            let free = admission.permit().now_or_never();
            let permit = match free {
                Some(permit) => permit,
                None => tokio::select! {
                    permit = admission.permit() => permit,
                    () = admission.until_paused() => None,
                    _ = changes.changed() => None,
                },
            };
            let Some(permit) = permit else {
                return Ok(Some(received));
            };
            let Some(started) = admission.start().await else {
                return Ok(Some(received));
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

    /// Waits until a probe is due and makes it with the next event.
    async fn probe(
        &self,
        endpoint: &Arc<Deliverer>,
        connection: &ConsumerConnection,
        deliveries: &TaskTracker,
        changes: &mut watch::Receiver<Arc<Deliverer>>,
    ) -> Result<(), SessionError> {
        let turn = tokio::select! {
            turn = endpoint.admission.probe_turn() => turn,
            // A request that was in flight has succeeded, or an operator pauses the endpoint.
            () = endpoint.admission.until_not_probed() => return Ok(()),
            _ = changes.changed() => return Ok(()),
        };
        let taken = connection
            .take_one(&topology::work_queue(&self.name))
            .await?;
        let Some(received) = taken else {
            drop(turn);
            sleep(EMPTY_PAUSE).await;
            return Ok(());
        };
        let Some(permit) = endpoint.admission.permit().await else {
            return Ok(());
        };
        let prober = Arc::clone(endpoint);
        let probe = deliveries
            .spawn(async move { prober.deliver(received, permit, AttemptKind::Probe).await });
        // A panic is logged already; the broker redelivers the message.
        let _ = probe.await;
        Ok(())
    }

    fn current(&self) -> Arc<Deliverer> {
        Arc::clone(&self.endpoint.borrow())
    }
}

fn settle_unattempted(endpoint: &Arc<Deliverer>, received: Received, deliveries: &TaskTracker) {
    let endpoint = Arc::clone(endpoint);
    deliveries.spawn(async move { endpoint.settle_unattempted(received).await });
}
