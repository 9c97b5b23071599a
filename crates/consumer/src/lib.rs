//! Consumer: takes events from the work queues, delivers them signed and
//! retried, and records each result.

mod batching;
mod client;
pub mod dead;
mod delivery;
mod drainer;
mod endpoint_gate;
mod endpoint_set;
mod failure;
mod log_watch;
pub mod reconcile;
mod recorder;
mod reload;
mod resolver;
mod session;
mod settings;
mod tls_failure;
mod worker;

pub use client::{judge, put_headers};
pub use endpoint_set::topology;
pub use settings::{
    ConsumerSettings, DeliverySettings, EndpointSettings, Endpoints, EndpointsFile, FileFault,
    PROGRAM_SETTINGS, SETTINGS, Secrets, WEBHOOK_ENDPOINTS, WEBHOOK_URL,
};

use anyhow::Context;
use prometheus::Registry;
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use wahook_delivery_log::{DeliveryLog, MongoLog};
use wahook_queue::{Broker, LinkState, Publisher, Topology, link};
use wahook_runtime::{
    Link, Readiness, Shutdown,
    metrics::{ConsumerMetrics, ProcessMetrics},
    ops,
};

use endpoint_set::{EndpointManager, Shared};
use recorder::{LogHealth, Recorder};
use session::Sessions;

/// Publisher confirm timeout of a retry; then it is published again.
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);
/// Time limit for the last publisher confirms at shutdown.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Runs until `shutdown`, then finishes the deliveries in flight and returns.
///
/// # Errors
/// Fails if the listen address or the settings can't be used.
pub async fn run(settings: ConsumerSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let log = MongoLog::connect(&settings.mongodb_uri, &settings.mongodb_database).await?;
    let backends = Backends {
        broker: settings.broker.into(),
        log,
    };
    run_over(backends, settings.delivery, shutdown).await
}

/// Broker and log of the consumer: RabbitMQ and MongoDB, or one store that replaces both.
pub struct Backends<L> {
    /// Queues of events, retries and dead letters.
    pub broker: Broker,
    /// Delivery log.
    pub log: L,
}

/// Runs the consumer over any broker and log; otherwise like [`run`].
///
/// # Errors
/// Fails if the listen address or the settings can't be used.
pub async fn run_over<L: DeliveryLog>(
    backends: Backends<L>,
    settings: DeliverySettings,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let Backends { broker, log } = backends;
    let hangups = reload::signals()?;
    let listener = settings.listen.bind().await?;
    let registry = Registry::new();
    let metrics = ConsumerMetrics::new(&registry).context("metrics")?;
    ProcessMetrics::new(&registry, "consumer").context("metrics")?;
    let readiness = Readiness::new();

    let log = Arc::new(log);
    let log_health = LogHealth::default();
    let watch = log_watch::watch(
        Arc::clone(&log),
        settings.log_retention_days,
        log_health.clone(),
        metrics.clone(),
    );
    let watch = tokio::spawn(watch);

    // The consuming connection declares the topology before any delivery.
    let (publisher, publisher_task) = Publisher::start(
        broker.clone(),
        "wahook-consumer publishing",
        Topology::default(),
        CONFIRM_LIMIT,
    );
    let link = Link::publishing(readiness.check("broker_publishing"), metrics.broker.clone());
    tokio::spawn(link::watch(publisher.link(), move |state| {
        observe_link(&link, state);
    }));
    let (link_sender, link_state) = watch::channel(LinkState::default());
    let link = Link::consuming(readiness.check("broker_consuming"), metrics.consume.clone());
    tokio::spawn(link::watch(link_state, move |state| {
        observe_link(&link, state);
    }));

    let (recorder, recording) = Recorder::start(
        Arc::clone(&log),
        publisher.clone(),
        log_health.clone(),
        metrics.clone(),
    );
    let parts = Shared {
        publisher,
        recorder,
        log: Arc::clone(&log),
        log_health: log_health.clone(),
        metrics: metrics.clone(),
        readiness: readiness.clone(),
    };
    let (manager, endpoints) = EndpointManager::start(parts, settings.endpoints.list)?;
    let reloads = metrics.reloads.clone();
    let reloading = reload::apply_on_hangup(hangups, settings.endpoints.file, manager, reloads);
    let reloading = tokio::spawn(reloading);
    let sessions = Sessions {
        broker,
        name: "wahook-consumer consuming".to_owned(),
        endpoints,
        log: Arc::clone(&log),
        log_health: log_health.clone(),
        metrics,
        link: link_sender,
        deliveries: TaskTracker::new(),
    };

    let (served, stop_serving) = serve(listener, registry, readiness, &shutdown);
    sessions.run(&shutdown).await;
    reloading.abort();
    let _ = reloading.await;
    // The recorder ends with its last handle. After a hard stop deliveries still
    // hold handles; the broker redelivers their messages.
    drop(sessions);
    if !shutdown.is_hard() {
        let _ = tokio::time::timeout(CLOSE_LIMIT, recording).await;
    }
    publisher_task.close(CLOSE_LIMIT).await;
    watch.abort();
    let _ = stop_serving.send(());
    served
        .await
        .context("serving HTTP")?
        .context("serving HTTP")
}

fn observe_link(link: &Link, state: &LinkState) {
    let (blocked, error) = (state.blocked.as_deref(), state.last_error.as_deref());
    link.observe(state.up, state.connections, blocked, error);
}

type Served = tokio::task::JoinHandle<std::io::Result<()>>;

/// Serves the operator endpoints until the drain is complete, so that it can be watched.
fn serve(
    listener: tokio::net::TcpListener,
    registry: Registry,
    readiness: Readiness,
    shutdown: &Shutdown,
) -> (Served, tokio::sync::oneshot::Sender<()>) {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let router = ops::refuse_the_rest(
        ops::router(registry, readiness.clone()),
        "available paths: /livez, /readyz and /metrics",
    );
    let soft = shutdown.soft();
    tokio::spawn(async move {
        soft.await;
        readiness.stopping();
    });
    let stopped = async {
        let _ = stopped.await;
    };
    let served = tokio::spawn(ops::serve_until(listener, router, stopped, shutdown.hard()));
    (served, stop)
}
