//! The life of one endpoint on one connection: taking its events as fast as they
//! may go, and, while it is taken to be down, one after the other to probe it.

use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{sleep, sleep_until, timeout},
};
use tokio_util::task::TaskTracker;
use wahook_delivery_log::DeliveryLog;
use wahook_domain::EndpointName;
use wahook_queue::{
    ConnectError, ConsumerConnection, Received, Subscription, SubscriptionEnded, topology,
};

use crate::delivery::{AttemptKind, Deliverer};

/// How often the number of those who share a rate limit is asked for.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// When the queue is looked at again where there was nothing to probe with.
const EMPTY_PAUSE: Duration = Duration::from_secs(1);
/// When a queue that the broker does not hand out is tried again.
const TROUBLE_PAUSE: Duration = Duration::from_secs(5);
/// How long the broker may take to hand out the last before a pause.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);

/// Works for one endpoint, whose values may change at any time.
pub(crate) struct Worker<L> {
    name: EndpointName,
    endpoint: watch::Sender<Arc<Deliverer<L>>>,
}

impl<L: DeliveryLog> Worker<L> {
    pub(crate) fn new(endpoint: Arc<Deliverer<L>>) -> Self {
        Self {
            name: endpoint.name.clone(),
            endpoint: watch::Sender::new(endpoint),
        }
    }

    /// For whom it works.
    pub(crate) fn name(&self) -> &EndpointName {
        &self.name
    }

    /// The next attempt is made with these values.
    pub(crate) fn follow(&self, endpoint: &Arc<Deliverer<L>>) {
        self.endpoint.send_if_modified(|now| {
            let is_other = !Arc::ptr_eq(now, endpoint);
            if is_other {
                *now = Arc::clone(endpoint);
                endpoint.take_effect();
            }
            is_other
        });
    }

    /// Works until the connection breaks; returns what broke it.
    pub(crate) async fn work(
        &self,
        connection: &ConsumerConnection,
        deliveries: &TaskTracker,
    ) -> String {
        loop {
            let mut changes = self.endpoint.subscribe();
            let endpoint = Arc::clone(&changes.borrow_and_update());
            let step = if !endpoint.settings.enabled {
                // Its sender is here.
                let _ = changes.changed().await;
                Ok(())
            } else if endpoint.gate.is_open() {
                self.probe(&endpoint, connection, deliveries, &mut changes)
                    .await
            } else {
                tokio::select! {
                    ended = self.consume(&endpoint, connection, deliveries, &mut changes) => ended,
                    error = self.count(&endpoint, connection) => Err(error),
                }
            };
            if let Err(error) = step {
                return error;
            }
        }
    }

    /// Consumes until the endpoint is paused, or its subscription must be
    /// another one. What was handed out and not begun goes back to the queue.
    async fn consume(
        &self,
        endpoint: &Arc<Deliverer<L>>,
        connection: &ConsumerConnection,
        deliveries: &TaskTracker,
        changes: &mut watch::Receiver<Arc<Deliverer<L>>>,
    ) -> Result<(), String> {
        let queue = topology::work_queue(&self.name);
        let mut subscription = match connection.subscribe(&queue, endpoint.prefetch).await {
            Ok(subscription) => subscription,
            // The others, whose queues are well, must not suffer for this one.
            Err(error @ ConnectError::NoSubscription { .. }) => {
                tracing::warn!(endpoint = %self.name, %error, "not subscribed");
                endpoint.gate.show_trouble(&error.to_string());
                sleep(TROUBLE_PAUSE).await;
                return Ok(());
            }
            Err(error) => return Err(error.to_string()),
        };
        endpoint.gate.begin();
        let began = self.begin_deliveries(&mut subscription, endpoint, deliveries, changes);
        let left = match began.await {
            Ok(left) => left,
            Err(error @ SubscriptionEnded::Forgotten { .. }) => {
                tracing::warn!(endpoint = %self.name, %error, "subscribing anew");
                None
            }
            Err(error) => return Err(error.to_string()),
        };
        let current = self.current();
        left.into_iter()
            .for_each(|received| put_back(&current, received, deliveries));
        subscription.cancel().await;
        let leaving = async {
            loop {
                match subscription.next().await {
                    Ok(received) => put_back(&current, received, deliveries),
                    Err(SubscriptionEnded::Cancelled) => return Ok(()),
                    Err(broken) => return Err(broken.to_string()),
                }
            }
        };
        timeout(LEAVE_LIMIT, leaving).await.unwrap_or_else(|_| {
            Err(format!(
                "the broker does not end the subscription to {queue}"
            ))
        })
    }

    /// Starts a delivery for each message, for as long as there are permits and
    /// as fast as the gate allows. Returns a message that had to wait for the
    /// gate when it closed to it.
    async fn begin_deliveries(
        &self,
        subscription: &mut Subscription,
        subscribed: &Deliverer<L>,
        deliveries: &TaskTracker,
        changes: &mut watch::Receiver<Arc<Deliverer<L>>>,
    ) -> Result<Option<Received>, SubscriptionEnded> {
        let gate = &subscribed.gate;
        loop {
            let endpoint = Arc::clone(&changes.borrow_and_update());
            if !endpoint.settings.enabled
                || endpoint.prefetch != subscribed.prefetch
                || gate.is_open()
            {
                return Ok(None);
            }
            let permits = Arc::clone(&endpoint.permits);
            let next = async {
                let permit = permits.acquire_owned().await;
                (permit, subscription.next().await)
            };
            let (permit, received) = tokio::select! {
                next = next => next,
                // Dropping the future above loses nothing.
                () = gate.is(true) => continue,
                _ = changes.changed() => continue,
            };
            // The semaphore is never closed.
            let (Ok(permit), received) = (permit, received?) else {
                return Ok(None);
            };
            if let Some(start) = gate.next_start() {
                tokio::select! {
                    () = sleep_until(start) => {}
                    () = gate.is(true) => return Ok(Some(received)),
                }
            }
            let endpoint = self.current();
            // Boxed at once: a task that holds the whole delivery, some KiB, is moved
            // several times on its way into the runtime.
            deliveries.spawn(Box::pin(async move {
                endpoint
                    .deliver(received, permit, AttemptKind::Delivery)
                    .await;
            }));
        }
    }

    /// Waits until a probe is due, and makes it with the next event.
    async fn probe(
        &self,
        endpoint: &Arc<Deliverer<L>>,
        connection: &ConsumerConnection,
        deliveries: &TaskTracker,
        changes: &mut watch::Receiver<Arc<Deliverer<L>>>,
    ) -> Result<(), String> {
        tokio::select! {
            () = endpoint.gate.probe_due() => {}
            // One that was under way when the circuit opened has succeeded.
            () = endpoint.gate.is(false) => return Ok(()),
            _ = changes.changed() => return Ok(()),
        }
        let taken = connection.take_one(&topology::work_queue(&self.name)).await;
        let Some(received) = taken.map_err(|error| error.to_string())? else {
            sleep(EMPTY_PAUSE).await;
            return Ok(());
        };
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&endpoint.permits).acquire_owned().await else {
            return Ok(());
        };
        let prober = Arc::clone(endpoint);
        let probe = deliveries
            .spawn(async move { prober.deliver(received, permit, AttemptKind::Probe).await });
        // A panic in it has been told; the message is handed out again.
        let _ = probe.await;
        Ok(())
    }

    /// Keeps count of those who share the endpoint's rate limit.
    ///
    /// The broker's count of the queue's consumers is exact at each moment, needs
    /// nothing to be kept anywhere, and is right again a second after a consumer
    /// came or was killed.
    async fn count(&self, endpoint: &Deliverer<L>, connection: &ConsumerConnection) -> String {
        let queue = topology::work_queue(&self.name);
        loop {
            if endpoint.gate.is_shared() {
                let observer = match connection.observe(&queue).await {
                    Ok(observer) => observer,
                    Err(error) => return error.to_string(),
                };
                while endpoint.gate.is_shared() {
                    match observer.consumers().await {
                        Ok(consumers) => endpoint.gate.share(consumers),
                        Err(error) => return error.to_string(),
                    }
                    sleep(COUNT_EVERY).await;
                }
            }
            sleep(COUNT_EVERY).await;
        }
    }

    fn current(&self) -> Arc<Deliverer<L>> {
        Arc::clone(&self.endpoint.borrow())
    }
}

fn put_back<L: DeliveryLog>(
    endpoint: &Arc<Deliverer<L>>,
    received: Received,
    deliveries: &TaskTracker,
) {
    let endpoint = Arc::clone(endpoint);
    deliveries.spawn(async move { endpoint.put_back(received).await });
}
