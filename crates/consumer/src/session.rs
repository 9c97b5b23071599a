//! Connections come and go; work goes on. A session is the life of one
//! consuming connection: its subscriptions and its drainer.

use backoff::backoff::Backoff;
use futures_util::future::{BoxFuture, FutureExt, select_all};
use std::sync::Arc;
use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};
use tokio_util::task::TaskTracker;
use wahook_delivery_log::DeliveryLog;
use wahook_queue::{
    BrokerUri, ConnectError, Intake, LinkState, Subscription, SubscriptionEnded, Topology,
    reconnect_backoff, topology,
};
use wahook_service::{metrics::ConsumerMetrics, shutdown::Shutdown};

use crate::{delivery::Endpoint, drainer, recorder::LogHealth};

/// An endpoint with the permits of its deliveries.
pub(crate) struct Worker<L> {
    /// What a delivery needs.
    pub(crate) endpoint: Arc<Endpoint<L>>,
    /// One for each request that may be in flight.
    pub(crate) permits: Arc<Semaphore>,
    /// Messages that may be handed out and not yet acknowledged.
    pub(crate) prefetch: u16,
}

/// All that sessions share.
pub(crate) struct Sessions<L> {
    /// Where the broker is.
    pub(crate) uri: BrokerUri,
    /// What the connection is called in the broker's own listings.
    pub(crate) name: String,
    /// What is declared before anything is consumed.
    pub(crate) topology: Topology,
    /// The endpoints that are worked for.
    pub(crate) workers: Vec<Worker<L>>,
    /// Where the drainer writes to.
    pub(crate) log: Arc<L>,
    /// Whether the drainer should try.
    pub(crate) log_health: LogHealth,
    /// What the drainer counts.
    pub(crate) metrics: ConsumerMetrics,
    /// The connection's state, for readiness and metrics.
    pub(crate) link: watch::Sender<LinkState>,
    /// The deliveries in flight, which outlive their session.
    pub(crate) deliveries: TaskTracker,
}

impl<L: DeliveryLog> Sessions<L> {
    /// Runs one session after another until the soft stop, then lets the
    /// deliveries in flight finish (until the hard stop).
    pub(crate) async fn run(&self, shutdown: &Shutdown) {
        let mut backoff = reconnect_backoff();
        while !shutdown.is_soft() {
            let Err(error) = self.connect_and_work(shutdown, &mut backoff).await else {
                break;
            };
            self.link.send_modify(|link| link.lost(error.clone()));
            let pause = backoff.next_backoff().unwrap_or(backoff.max_interval);
            tracing::warn!(%error, broker = %self.uri, ?pause, "consuming: not connected");
            tokio::select! {
                () = sleep(pause) => {}
                () = shutdown.soft() => {}
            }
        }
        self.finish(shutdown).await;
        self.link
            .send_modify(|link| link.lost("stopped".to_owned()));
    }

    /// Fails with what kept it from working; succeeds when it was stopped.
    async fn connect_and_work(
        &self,
        shutdown: &Shutdown,
        backoff: &mut impl Backoff,
    ) -> Result<(), String> {
        let intake = tokio::select! {
            connected = Intake::connect(&self.uri, &self.name, &self.topology) => {
                connected.map_err(|error| error.to_string())?
            }
            () = shutdown.soft() => return Ok(()),
        };
        let ended = match self.subscribe(&intake).await {
            Ok(subscriptions) => {
                backoff.reset();
                self.work(&intake, subscriptions, shutdown).await
            }
            Err(error) => Err(error.to_string()),
        };
        intake.close().await;
        ended
    }

    async fn subscribe(&self, intake: &Intake) -> Result<Vec<Subscription>, ConnectError> {
        let mut subscriptions = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let queue = topology::work_queue(&worker.endpoint.name);
            subscriptions.push(intake.subscribe(&queue, worker.prefetch).await?);
        }
        Ok(subscriptions)
    }

    /// Consumes until the connection breaks or the stop begins. The
    /// subscriptions live on while deliveries finish: their acks need them.
    async fn work(
        &self,
        intake: &Intake,
        mut subscriptions: Vec<Subscription>,
        shutdown: &Shutdown,
    ) -> Result<(), String> {
        self.link.send_modify(LinkState::connected);
        tracing::info!(broker = %self.uri, "consuming: connected");
        let mut parts: Vec<BoxFuture<'_, String>> = vec![self.drain(intake).boxed()];
        for (worker, subscription) in self.workers.iter().zip(&mut subscriptions) {
            let consumed = worker.consume(subscription, &self.deliveries);
            parts.push(consumed.map(|ended| ended.to_string()).boxed());
        }
        tokio::select! {
            (broken, ..) = select_all(parts) => return Err(broken),
            () = shutdown.soft() => {}
        }
        for subscription in &subscriptions {
            subscription.cancel().await;
        }
        self.finish(shutdown).await;
        Ok(())
    }

    async fn drain(&self, intake: &Intake) -> String {
        let (log, health) = (Arc::clone(&self.log), self.log_health.clone());
        match drainer::drain(intake, log, health, self.metrics.clone()).await {
            Err(ended) => ended.to_string(),
            Ok(never) => match never {},
        }
    }

    async fn finish(&self, shutdown: &Shutdown) {
        self.deliveries.close();
        if !self.deliveries.is_empty() {
            tracing::info!(
                deliveries = self.deliveries.len(),
                "finishing what is in flight"
            );
        }
        tokio::select! {
            () = self.deliveries.wait() => {}
            () = shutdown.hard() => {
                let left = self.deliveries.len();
                tracing::warn!(deliveries = left, "stopped hard: the broker hands these out again");
            }
        }
    }
}

impl<L: DeliveryLog> Worker<L> {
    /// Starts a delivery for each message, for as long as there are permits.
    async fn consume(
        &self,
        subscription: &mut Subscription,
        deliveries: &TaskTracker,
    ) -> SubscriptionEnded {
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
                return SubscriptionEnded::Cancelled;
            };
            match subscription.next().await {
                Ok(received) => {
                    let endpoint = Arc::clone(&self.endpoint);
                    deliveries.spawn(async move { endpoint.deliver(received, permit).await });
                }
                Err(ended) => return ended,
            }
        }
    }
}
