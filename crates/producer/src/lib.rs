//! Producer: accepts events over HTTP and answers once the broker has them.

mod batch;
mod body;
mod budget;
mod duplicates;
mod earlier;
mod event_service;
mod events;
mod exact;
mod gateways;
mod headers;
mod media_type;
pub mod metrics;
mod openapi;
mod operators;
mod outlet;
mod problem;
mod recent;
mod registration;
mod router;
mod settings;
mod sources;
mod spool;
mod traced;

pub use earlier::{EarlierEvents, EarlierFuture};
pub use settings::{
    EventServiceSettings, PROGRAM_SETTINGS, ProducerSettings, SETTINGS, SPOOL_SETTINGS,
    SpoolSettings,
};
pub use sources::{SourceSettings, SourcesFile};
pub use wahook_runtime::tokens::{InvalidTokens, Tokens};

use anyhow::{Context, bail};
use axum::{Router, routing::post};
use prometheus::Registry;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use wahook_queue::{Broker, Publisher, Topology};
use wahook_runtime::{
    Link, ListenAddress, Readiness, Shutdown,
    guard::{AllowedHosts, Guard},
    hangups,
    metrics::ProcessMetrics,
    ops::{self, RefusalLog, Served},
};
use wahook_traces::{MessagingSystem, Traces};

use budget::Budget;
use duplicates::Duplicates;
use earlier::Earlier;
use event_service::EventService;
use events::{MAX_IN_FLIGHT, MAX_UNVERIFIED};
use metrics::ProducerMetrics;
use operators::Operators;
use outlet::Outlet;
use router::EventRouter;
use settings::PRODUCER_ALLOWED_HOSTS;
use sources::Sources;
use spool::OpenSpool;

/// Time limit for the confirm of a publish; after it the answer is 503.
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);
/// Time limit for the last confirms, once no request is left.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Runs until `shutdown`, then answers the requests in flight and returns.
///
/// # Errors
/// When the address cannot be bound, or the spool cannot be used.
pub async fn run(mut settings: ProducerSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let traces = std::mem::take(&mut settings.traces);
    let traces = Traces::start(traces, "wahook-producer", MessagingSystem::RabbitMq)?;
    let ended = run_on_rabbitmq(settings, shutdown.clone()).await;
    traces.stop(&shutdown).await;
    ended
}

async fn run_on_rabbitmq(settings: ProducerSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let broker = settings.broker.into();
    let spool = match settings.spool {
        Some(spool) => Some(OpenSpool::open(spool).await?),
        None => None,
    };
    run_with(broker, spool, None, settings.events, shutdown).await
}

/// Runs the producer over any queue, with a log of the events of earlier processes.
///
/// # Errors
/// When the address cannot be bound.
pub async fn run_over(
    broker: Broker,
    earlier: Arc<dyn EarlierEvents>,
    settings: EventServiceSettings,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    run_with(broker, None, Some(earlier), settings, shutdown).await
}

async fn run_with(
    broker: Broker,
    spool: Option<OpenSpool>,
    earlier: Option<Arc<dyn EarlierEvents>>,
    settings: EventServiceSettings,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let hangups = hangups()?;
    let listener = settings.listen.bind().await?;
    let registry = Registry::new();
    let metrics = ProducerMetrics::new(&registry).context("metrics")?;
    ProcessMetrics::new(&registry, "producer").context("metrics")?;
    wahook_traces::register(&registry).context("metrics")?;
    let refusals = RefusalLog::new(metrics.requests_refused.clone());
    let readiness = Readiness::new();
    let (publisher, mut task) =
        Publisher::start(broker, "wahook-producer", Topology::events(), CONFIRM_LIMIT);
    let router = Arc::new(EventRouter::default());
    let check = readiness.check("broker");
    let (link, spool) = match spool {
        None => (Link::publishing(check, metrics.broker.clone()), None),
        Some(spool) => {
            let running = spool.run(&publisher, &router, &registry, check)?;
            (Link::measuring(metrics.broker.clone()), Some(running))
        }
    };
    tokio::spawn(link.watch(publisher.link()));
    let stored = spool.as_ref().map(|running| Arc::clone(&running.spool));
    let outlet = Outlet::new(publisher, router, stored);
    let operators = Operators::bind(&settings, registry, readiness.clone()).await?;
    let file = settings.sources.file.clone();
    let (router, sources) = routes(settings, outlet, metrics, earlier);
    let router = router.merge(operators.public.clone());
    let router = ops::refuse_the_rest(
        router,
        "send events to POST /v1/events, or point a gateway's webhook at /v1/in/KIND",
    );
    let served = Served::from(router).with_refusals(Arc::clone(&refusals));
    let stopping = shutdown.clone();
    tokio::spawn(async move {
        stopping.soft().await;
        readiness.stopping();
    });
    tokio::select! {
        served = ops::serve(listener, served, shutdown) => served.context("serving HTTP")?,
        served = operators.serve_metrics() => served.context("serving metrics")?,
        () = refusals.report() => {}
        () = sources::apply_on_hangup(hangups, file, sources) => {}
        () = task.ended() => bail!("the publisher ended early; restart the producer"),
    }
    refusals.flush();
    if let Some(spool) = spool {
        spool.close(CLOSE_LIMIT).await?;
    }
    task.close(CLOSE_LIMIT).await;
    Ok(())
}

/// Creates the router of the paths for gateways, for any server: of `settings.listen`
/// only matters whether it is loopback.
pub fn router(
    settings: EventServiceSettings,
    publisher: Publisher,
    metrics: ProducerMetrics,
) -> Router {
    let outlet = Outlet::new(publisher, Arc::default(), None);
    routes(settings, outlet, metrics, None).0
}

/// Creates the router, and returns the sources too, so that they can be replaced.
fn routes(
    settings: EventServiceSettings,
    outlet: Outlet,
    metrics: ProducerMetrics,
    earlier: Option<Arc<dyn EarlierEvents>>,
) -> (Router, Arc<Sources>) {
    let sources = Arc::new(settings.sources.sources);
    let budget = Budget::new(settings.memory_budget_bytes);
    let service = Arc::new(EventService {
        guard: guard(settings.listen, settings.allowed_hosts),
        tokens: settings.tokens,
        max_body_bytes: settings.max_body_bytes,
        validation: settings.validation,
        keeps_exact: settings.keep_exact,
        outlet,
        metrics,
        permits: Semaphore::new(MAX_IN_FLIGHT),
        unverified_permits: Semaphore::new(MAX_UNVERIFIED),
        answers: budget.part(),
        unverified: budget.part(),
        budget,
        duplicates: Duplicates::new(settings.duplicate_window),
        earlier: earlier.map(|events| Earlier::new(events, settings.duplicate_window)),
        sources: Arc::clone(&sources),
    });
    let from_gateway = post(gateways::post).get(registration::get);
    let router = Router::new()
        .route("/v1/events", post(events::post))
        .route("/v1/in/{source}", from_gateway.clone())
        .route("/v1/in/{source}/", from_gateway.clone())
        .route("/v1/in/{source}/{*path}", from_gateway)
        .with_state(service);
    (router, sources)
}

/// Returns the check of requests to one of the producer's addresses.
fn guard(listen: ListenAddress, hosts: AllowedHosts) -> Guard {
    Guard::new(listen, hosts, PRODUCER_ALLOWED_HOSTS.name)
}
