//! Parts of the consumer, in the order in which they start and stop.

use anyhow::{Context, Error};
use prometheus::Registry;
use std::{sync::Arc, time::Duration};
use tokio::{
    signal::unix::Signal,
    sync::watch,
    task::{JoinError, JoinHandle, JoinSet},
};
use tokio_util::task::TaskTracker;
use wahook_delivery_log::{LogReader, SharedLog};
use wahook_domain::Recoveries;
use wahook_operator_state::{SharedCircuitReports, SharedOperatorState};
use wahook_queue::{Broker, LinkState, Publisher, PublisherTask, Topology, topology};
use wahook_runtime::{Link, Readiness, Shutdown, guard::Guard, hangups, metrics::ProcessMetrics};

use crate::{
    circuit_reporter::CircuitReporter,
    endpoint_set::{EndpointManager, Shared},
    known_states::KnownStates,
    log_health::LogHealth,
    log_watch,
    memory::{MemoryBudget, MemoryShare},
    metrics::ConsumerMetrics,
    operator_server::OperatorServer,
    operator_watch::OperatorWatch,
    recorder::Recorder,
    reload,
    session::Sessions,
    settings::{CONSUMER_ALLOWED_HOSTS, DeliverySettings},
    stranded::{self, Watched},
};

/// Publisher confirm timeout of a retry; then it is published again.
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);
/// Time limit for the last publisher confirms at shutdown.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Broker and log of the consumer: RabbitMQ and MongoDB, or one store that replaces both.
pub struct Backends {
    /// Queues of events, retries and dead letters.
    pub broker: Broker,
    /// Delivery log.
    pub log: SharedLog,
    /// What operators set while the consumer runs.
    pub operator: SharedOperatorState,
    /// Pauses by circuit breakers, for the console.
    pub circuits: SharedCircuitReports,
    /// Reads of the log, for endpoints that earlier versions declared; `None` where the
    /// broker knows all of them.
    pub history: Option<Arc<dyn LogReader>>,
}

/// Consumer over any broker and log.
pub struct Consumer {
    backends: Backends,
    log_health: LogHealth,
    settings: DeliverySettings,
    /// SIGHUP reloads the endpoints file.
    hangups: Signal,
    registry: Registry,
    metrics: ConsumerMetrics,
    readiness: Readiness,
    recoveries: watch::Sender<Recoveries>,
    /// Memory of the queue of results.
    results_memory: Arc<MemoryShare>,
}

impl Consumer {
    /// Creates a consumer that connects to nothing yet. SIGHUP no longer ends the program
    /// from here on.
    ///
    /// # Errors
    /// Fails if the system rejects the signal handler.
    pub fn new(backends: Backends, settings: DeliverySettings) -> anyhow::Result<Self> {
        let hangups = hangups()?;
        let registry = Registry::new();
        let metrics = ConsumerMetrics::new(&registry).context("metrics")?;
        ProcessMetrics::new(&registry, "consumer").context("metrics")?;
        wahook_traces::register(&registry).context("metrics")?;
        Ok(Self {
            backends,
            log_health: LogHealth::default(),
            settings,
            hangups,
            registry,
            metrics,
            readiness: Readiness::new(),
            recoveries: watch::Sender::new(Recoveries::new()),
            results_memory: Arc::new(MemoryShare::of(topology::RESULTS_QUEUE.to_owned())),
        })
    }

    /// Returns the registry of `/metrics`, for metrics of the program around the consumer.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the recoveries of endpoints from outages, for automatic redrives.
    #[must_use]
    pub fn recoveries(&self) -> watch::Receiver<Recoveries> {
        self.recoveries.subscribe()
    }

    /// Runs until `shutdown`, then finishes the deliveries in flight and returns.
    ///
    /// # Errors
    /// Fails if the listen address or the settings can't be used, and at once if a part of the
    /// consumer panics: without it nothing more would be delivered, logged or reloaded.
    pub async fn run(self, shutdown: Shutdown) -> anyhow::Result<()> {
        let listener = self.settings.listen.bind().await?;
        let guard = self.guard();
        // Tasks that end with the consumer.
        let mut watches = JoinSet::new();
        watches.spawn(self.watch_log());
        // The consuming connection declares the topology before any delivery.
        let (publisher, mut publishing) = self.start_publisher(&mut watches);
        let link = self.watch_consuming_link(&mut watches);
        let (recorder, mut recording) = self.start_recorder(publisher.clone());
        let known = KnownStates::default();
        let shared = self.shared(publisher, recorder, known.clone());
        let (manager, endpoints) = EndpointManager::start(shared, self.settings.endpoints.list)?;
        let mut operators = OperatorWatch::new(self.backends.operator, known, endpoints.clone());
        let circuits = CircuitReporter::new(self.backends.circuits, endpoints.clone());
        // Tasks that end with the sessions, because they hold the recorder.
        let mut tasks = JoinSet::new();
        tasks.spawn(stranded::watch(Watched {
            broker: self.backends.broker.clone(),
            endpoints: endpoints.clone(),
            link: link.subscribe(),
            history: self.backends.history,
            gauge: self.metrics.stranded_messages.clone(),
            readiness: self.readiness.clone(),
        }));
        tasks.spawn(reload::apply_on_hangup(
            self.hangups,
            self.settings.endpoints.file,
            manager,
            self.metrics.reloads.clone(),
        ));
        let sessions = Sessions {
            broker: self.backends.broker,
            name: "wahook-consumer consuming".to_owned(),
            endpoints,
            log: self.backends.log,
            log_health: self.log_health,
            results_memory: self.results_memory,
            metrics: self.metrics,
            link,
            deliveries: TaskTracker::new(),
        };
        let server =
            OperatorServer::start(listener, guard, self.registry, self.readiness, &shutdown);

        // Before the first delivery, which a pause must prevent.
        operators.read().await;
        tasks.spawn(operators.run());
        tasks.spawn(circuits.run());
        tokio::select! {
            () = sessions.run(&shutdown) => {}
            Some(ended) = tasks.join_next() => return Err(ended_early(ended)),
            Some(ended) = watches.join_next() => return Err(ended_early(ended)),
            ended = &mut recording => return Err(ended_early(ended)),
            () = publishing.ended() => return Err(ended_early(Ok(()))),
        }
        tasks.shutdown().await;
        // The recorder ends with its last handle. After a hard stop deliveries still
        // hold handles; the broker redelivers their messages.
        drop(sessions);
        if !shutdown.is_hard() {
            let _ = tokio::time::timeout(CLOSE_LIMIT, recording).await;
        }
        publishing.close(CLOSE_LIMIT).await;
        watches.shutdown().await;
        server.stop().await
    }

    fn guard(&self) -> Guard {
        Guard::new(
            self.settings.listen,
            self.settings.allowed_hosts.clone(),
            CONSUMER_ALLOWED_HOSTS.name,
        )
    }

    fn watch_log(&self) -> impl Future<Output = ()> + use<> {
        log_watch::watch(
            self.backends.log.clone(),
            self.settings.log_retention_days,
            self.log_health.clone(),
            self.metrics.clone(),
        )
    }

    fn start_publisher(&self, watches: &mut JoinSet<()>) -> (Publisher, PublisherTask) {
        let (publisher, task) = Publisher::start(
            self.backends.broker.clone(),
            "wahook-consumer publishing",
            Topology::default(),
            CONFIRM_LIMIT,
        );
        let check = self.readiness.check("broker_publishing");
        let link = Link::publishing(check, self.metrics.broker.clone());
        watches.spawn(link.watch(publisher.link()));
        (publisher, task)
    }

    /// Returns the sender of the consuming connection's state.
    fn watch_consuming_link(&self, watches: &mut JoinSet<()>) -> watch::Sender<LinkState> {
        let (sender, states) = watch::channel(LinkState::default());
        let check = self.readiness.check("broker_consuming");
        let link = Link::consuming(check, self.metrics.consume.clone());
        watches.spawn(link.watch(states));
        sender
    }

    fn start_recorder(&self, publisher: Publisher) -> (Recorder, JoinHandle<()>) {
        Recorder::start(
            self.backends.log.clone(),
            publisher,
            self.log_health.clone(),
            self.metrics.clone(),
        )
    }

    fn shared(&self, publisher: Publisher, recorder: Recorder, operator: KnownStates) -> Shared {
        Shared {
            publisher,
            recorder,
            log: self.backends.log.clone(),
            log_health: self.log_health.clone(),
            metrics: self.metrics.clone(),
            readiness: self.readiness.clone(),
            is_local: matches!(self.backends.broker, Broker::Local(_)),
            operator,
            recoveries: self.recoveries.clone(),
            memory: MemoryBudget::new(self.settings.memory_budget_bytes),
            results_memory: Arc::clone(&self.results_memory),
        }
    }
}

/// Returns the error of a task that ended before the consumer.
fn ended_early(ended: Result<(), JoinError>) -> Error {
    let reason = "a part of the consumer ended early; restart it, events are redelivered";
    match ended {
        Ok(()) => Error::msg(reason),
        Err(panicked) => Error::new(panicked).context(reason),
    }
}
