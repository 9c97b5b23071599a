//! Connections come and go; work goes on. A session is the life of one
//! consuming connection: its subscriptions and its drainer.

use backoff::backoff::Backoff;
use std::{collections::BTreeSet, sync::Arc};
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tokio_util::task::TaskTracker;
use wahook_delivery_log::DeliveryLog;
use wahook_domain::EndpointName;
use wahook_queue::{Broker, ConsumerConnection, LinkState, reconnect_backoff};
use wahook_runtime::{metrics::ConsumerMetrics, shutdown::Shutdown};

use crate::{
    drainer,
    endpoint_set::{EndpointHandle, EndpointSet},
    recorder::LogHealth,
};

/// All that sessions share.
pub(crate) struct Sessions<L> {
    /// Who keeps the events.
    pub(crate) broker: Broker,
    /// What the connection is called in the broker's own listings.
    pub(crate) name: String,
    /// The endpoints that are worked for, and what is declared before.
    pub(crate) endpoints: watch::Receiver<EndpointSet<L>>,
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
            tracing::warn!(%error, broker = %self.broker, ?pause, "consuming: not connected");
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
        let mut endpoints = self.endpoints.clone();
        let topology = endpoints.borrow_and_update().topology.clone();
        let connection = tokio::select! {
            connected = ConsumerConnection::connect(&self.broker, &self.name, &topology) => {
                Arc::new(connected.map_err(|error| error.to_string())?)
            }
            () = shutdown.soft() => return Ok(()),
        };
        backoff.reset();
        let ended = self.work(&connection, endpoints, shutdown).await;
        connection.close().await;
        ended
    }

    /// Consumes until the connection breaks or the stop begins. What was handed
    /// out can be acknowledged while deliveries finish.
    async fn work(
        &self,
        connection: &Arc<ConsumerConnection>,
        mut endpoints: watch::Receiver<EndpointSet<L>>,
        shutdown: &Shutdown,
    ) -> Result<(), String> {
        let mut parts = JoinSet::new();
        let mut at_work = BTreeSet::new();
        parts.spawn(self.drain(Arc::clone(connection)));
        self.go_to_work(&endpoints, connection, &mut parts, &mut at_work);
        self.link.send_modify(LinkState::connected);
        tracing::info!(broker = %self.broker, "consuming: connected");
        loop {
            tokio::select! {
                Some(ended) = parts.join_next() => {
                    return Err(ended.unwrap_or_else(|panic| panic.to_string()));
                }
                Ok(()) = endpoints.changed() => {
                    let topology = endpoints.borrow_and_update().topology.clone();
                    let declared = connection.declare(&topology).await;
                    declared.map_err(|error| error.to_string())?;
                    self.go_to_work(&endpoints, connection, &mut parts, &mut at_work);
                }
                () = shutdown.soft() => break,
            }
        }
        parts.shutdown().await;
        self.finish(shutdown).await;
        Ok(())
    }

    /// Gives each worker its values, now that what they need is declared, and
    /// starts those that are new.
    fn go_to_work(
        &self,
        endpoints: &watch::Receiver<EndpointSet<L>>,
        connection: &Arc<ConsumerConnection>,
        parts: &mut JoinSet<String>,
        at_work: &mut BTreeSet<EndpointName>,
    ) {
        for EndpointHandle { worker, endpoint } in &endpoints.borrow().members {
            worker.follow(endpoint);
            if at_work.insert(worker.name().clone()) {
                let (worker, connection) = (Arc::clone(worker), Arc::clone(connection));
                let deliveries = self.deliveries.clone();
                parts.spawn(async move { worker.work(&connection, &deliveries).await });
            }
        }
    }

    fn drain(&self, connection: Arc<ConsumerConnection>) -> impl Future<Output = String> + use<L> {
        let (log, health) = (Arc::clone(&self.log), self.log_health.clone());
        let metrics = self.metrics.clone();
        async move {
            match drainer::drain(&connection, log, health, metrics).await {
                Err(ended) => ended.to_string(),
                Ok(never) => match never {},
            }
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
