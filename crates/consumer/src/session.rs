//! Session: the life of one consuming connection, its subscriptions and its drainer.
//! A lost connection is replaced by a new session.

use backoff::backoff::Backoff;
use std::{collections::BTreeSet, convert::Infallible, pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::task::TaskTracker;
use wahook_delivery_log::SharedLog;
use wahook_domain::{EndpointName, Lanes};
use wahook_queue::{
    Broker, ConnectError, ConsumerConnection, Declaration, LinkState, Topology, reconnect_backoff,
    topology,
};
use wahook_runtime::shutdown::Shutdown;

use crate::{
    drainer,
    endpoint_set::{EndpointHandle, EndpointSet},
    lanes::LaneWorker,
    log_health::LogHealth,
    memory::MemoryShare,
    metrics::ConsumerMetrics,
    session_error::SessionError,
    stranded,
    worker::Worker,
};

/// Pause after the endpoints could not be registered.
const TAKE_OVER_PAUSE: Duration = Duration::from_secs(5);

/// Tasks of a session.
#[derive(Default)]
struct Tasks {
    running: JoinSet<Result<Infallible, SessionError>>,
    /// Endpoints that are served.
    endpoints: BTreeSet<EndpointName>,
    /// Queues of these endpoints that are served, without ordered lanes.
    queues: BTreeSet<String>,
}

/// Connection of a session.
struct Connected {
    connection: Arc<ConsumerConnection>,
    topology: Topology,
    /// False if bindings may be missing.
    is_declared: bool,
}

/// State shared by all sessions.
pub(crate) struct Sessions {
    pub(crate) broker: Broker,
    /// Name of the connection in the broker's listings.
    pub(crate) name: String,
    /// Endpoints to serve, and the topology to declare before.
    pub(crate) endpoints: watch::Receiver<EndpointSet>,
    /// Destination of the drainer.
    pub(crate) log: SharedLog,
    /// Stops the drainer while the log is unavailable.
    pub(crate) log_health: LogHealth,
    /// Memory of the drainer.
    pub(crate) results_memory: Arc<MemoryShare>,
    /// Metrics of the drainer.
    pub(crate) metrics: ConsumerMetrics,
    /// Connection state, for readiness and metrics.
    pub(crate) link: watch::Sender<LinkState>,
    /// Deliveries in flight; they outlive their session.
    pub(crate) deliveries: TaskTracker,
}

impl Connected {
    /// Declares what may be missing.
    async fn complete(&self) -> Result<(), ConnectError> {
        if self.is_declared {
            return Ok(());
        }
        self.connection.declare(&self.topology).await
    }
}

impl Sessions {
    /// Runs one session after another until the soft stop, then lets the
    /// deliveries in flight finish (until the hard stop).
    pub(crate) async fn run(&self, shutdown: &Shutdown) {
        let mut backoff = reconnect_backoff();
        let mut declared = None;
        while !shutdown.is_soft() {
            let begun = Instant::now();
            let session = self.run_session(shutdown, &mut declared);
            let Err(error) = session.await else {
                break;
            };
            if begun.elapsed() >= backoff.max_interval {
                backoff.reset();
            }
            self.link.send_modify(|link| link.lost(error.to_string()));
            let pause = backoff.next_backoff().unwrap_or(backoff.max_interval);
            tracing::warn!(%error, broker = %self.broker, ?pause, "consumer not connected, retrying");
            tokio::select! {
                () = sleep(pause) => {}
                () = shutdown.soft() => {}
            }
        }
        self.finish(shutdown).await;
        self.link
            .send_modify(|link| link.lost("stopped".to_owned()));
    }

    /// Runs one session. Returns the error that ended it, or `Ok` after a stop. `declared` is
    /// the topology that the broker had during the last session.
    async fn run_session(
        &self,
        shutdown: &Shutdown,
        declared: &mut Option<Topology>,
    ) -> Result<(), SessionError> {
        let mut endpoints = self.endpoints.clone();
        let current = endpoints.borrow_and_update().clone();
        let is_known = declared.as_ref() == Some(&current.topology);
        let connected = tokio::select! {
            connected = self.connect(current.topology.clone(), is_known) => connected?,
            () = shutdown.soft() => return Ok(()),
        };
        *declared = None;
        let watched = (current, endpoints);
        let ended = self.work(&connected, watched, shutdown, declared).await;
        connected.connection.close().await;
        ended
    }

    /// Connects and declares the topology. The bindings of lanes can take seconds, so those that
    /// an earlier session has declared are left for later if their queues still exist.
    async fn connect(&self, topology: Topology, is_known: bool) -> Result<Connected, ConnectError> {
        let needed = if is_known {
            &Topology::default()
        } else {
            &topology
        };
        let connection = ConsumerConnection::connect(&self.broker, &self.name, needed).await?;
        let is_declared = !is_known || !connection.has_queues(&topology).await?;
        if is_known && is_declared {
            connection.declare(&topology).await?;
        }
        Ok(Connected {
            connection: Arc::new(connection),
            topology,
            is_declared,
        })
    }

    /// Consumes until the connection breaks or the stop begins. Messages can still be
    /// acknowledged while deliveries finish.
    async fn work(
        &self,
        connected: &Connected,
        (mut current, mut endpoints): (EndpointSet, watch::Receiver<EndpointSet>),
        shutdown: &Shutdown,
        declared: &mut Option<Topology>,
    ) -> Result<(), SessionError> {
        let connection = &connected.connection;
        let mut tasks = Tasks::default();
        let mut has_lanes =
            connected.is_declared && self.register(connection, &current, shutdown).await?;
        tasks.running.spawn(self.drain(Arc::clone(connection)));
        self.start_workers(&current, connection, &mut tasks);
        self.link.send_modify(LinkState::connected);
        tracing::info!(broker = %self.broker, host = connection.server(), "consumer connected");
        let mut completed = pin!(connected.complete());
        loop {
            tokio::select! {
                Some(ended) = tasks.running.join_next() => {
                    let Err(error) = ended?;
                    return Err(error);
                }
                completed = &mut completed, if declared.is_none() => {
                    completed?;
                    *declared = Some(connected.topology.clone());
                }
                Ok(()) = endpoints.changed(), if declared.is_some() => {
                    current = endpoints.borrow_and_update().clone();
                    connection.declare(&current.topology).await?;
                    *declared = Some(current.topology.clone());
                    has_lanes = self.register(connection, &current, shutdown).await?;
                    self.start_workers(&current, connection, &mut tasks);
                }
                others = self.register_later(&current), if !has_lanes && declared.is_some() => {
                    has_lanes = self.take_over_lanes(connection, &current, others).await?;
                    for EndpointHandle { worker, .. } in &current.members {
                        self.start_queues(worker, connection, &mut tasks);
                    }
                }
                () = shutdown.soft() => break,
            }
        }
        tasks.running.shutdown().await;
        self.finish(shutdown).await;
        Ok(())
    }

    /// Registers the endpoints, and serves the lanes that they had with other settings. Returns
    /// false if those are not known yet.
    async fn register(
        &self,
        connection: &ConsumerConnection,
        endpoints: &EndpointSet,
        shutdown: &Shutdown,
    ) -> Result<bool, SessionError> {
        let others = tokio::select! {
            others = stranded::register(&self.broker, endpoints) => others,
            () = shutdown.soft() => None,
        };
        self.take_over_lanes(connection, endpoints, others).await
    }

    /// Registers the endpoints after a pause.
    async fn register_later(&self, endpoints: &EndpointSet) -> Option<Vec<Declaration>> {
        sleep(TAKE_OVER_PAUSE).await;
        stranded::register(&self.broker, endpoints).await
    }

    /// Serves the lanes that the endpoints had with other settings: no more events enter them.
    /// Returns false if those are not known yet.
    async fn take_over_lanes(
        &self,
        connection: &ConsumerConnection,
        endpoints: &EndpointSet,
        others: Option<Vec<Declaration>>,
    ) -> Result<bool, SessionError> {
        let Some(others) = others else {
            return Ok(false);
        };
        let workers = endpoints.members.iter().map(|member| &member.worker);
        for (other, lanes) in others
            .iter()
            .filter_map(|other| Some((other, other.lanes?)))
        {
            let (name, patterns) = (&other.endpoint, &other.patterns);
            let earlier = Topology::earlier_lanes(name, patterns, lanes, &endpoints.topology);
            connection.declare(&earlier).await?;
            let mut of_endpoint = workers.clone().filter(|worker| worker.name() == name);
            match (of_endpoint.next(), lanes) {
                (Some(worker), Lanes::Ordered(lanes)) => {
                    worker.serve_earlier_lanes(topology::lane_queues(name, lanes).collect());
                }
                (Some(worker), Lanes::Shared(lanes)) => worker.serve_shared(lanes),
                (None, _) => {}
            }
        }
        Ok(true)
    }

    /// Applies the settings of endpoints and starts the new workers. Their topology must be
    /// declared before.
    fn start_workers(
        &self,
        endpoints: &EndpointSet,
        connection: &Arc<ConsumerConnection>,
        tasks: &mut Tasks,
    ) {
        for EndpointHandle { worker, endpoint } in &endpoints.members {
            worker.replace_deliverer(endpoint);
            if tasks.endpoints.insert(worker.name().clone()) {
                let lanes = LaneWorker {
                    endpoint: worker.deliverers(),
                    earlier: worker.earlier_lanes(),
                    connection: Arc::clone(connection),
                    deliveries: self.deliveries.clone(),
                };
                tasks.running.spawn(lanes.work());
            }
            self.start_queues(worker, connection, tasks);
        }
    }

    /// Serves those queues of an endpoint that are not served yet.
    fn start_queues(
        &self,
        worker: &Arc<Worker>,
        connection: &Arc<ConsumerConnection>,
        tasks: &mut Tasks,
    ) {
        for queue in worker.queues() {
            if tasks.queues.insert(queue.name.clone()) {
                let (connection, deliveries) = (Arc::clone(connection), self.deliveries.clone());
                let worker = Arc::clone(worker);
                let work = async move { worker.work(&queue, &connection, &deliveries).await };
                tasks.running.spawn(work);
            }
        }
    }

    fn drain(
        &self,
        connection: Arc<ConsumerConnection>,
    ) -> impl Future<Output = Result<Infallible, SessionError>> + use<> {
        let (log, health) = (Arc::clone(&self.log), self.log_health.clone());
        let (memory, metrics) = (Arc::clone(&self.results_memory), self.metrics.clone());
        async move { drainer::drain(&connection, log, health, memory, metrics).await }
    }

    async fn finish(&self, shutdown: &Shutdown) {
        self.deliveries.close();
        if !self.deliveries.is_empty() {
            tracing::info!(
                deliveries = self.deliveries.len(),
                "waiting for deliveries in flight"
            );
        }
        tokio::select! {
            () = self.deliveries.wait() => {}
            () = shutdown.hard() => {
                let left = self.deliveries.len();
                tracing::warn!(deliveries = left, "hard stop: the broker redelivers unfinished events");
            }
        }
    }
}
