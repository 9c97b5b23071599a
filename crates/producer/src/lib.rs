//! Producer: accepts events over HTTP and answers once the broker has them.

mod batch;
mod body;
mod budget;
mod duplicates;
mod event_service;
mod events;
mod headers;
mod media_type;
pub mod metrics;
mod openapi;
mod problem;
mod recent;
mod router;
mod settings;
mod token;

pub use settings::{EventServiceSettings, PROGRAM_SETTINGS, ProducerSettings, SETTINGS};
pub use token::{InvalidTokens, Tokens};

use anyhow::Context;
use axum::{
    Router,
    routing::{get, post},
};
use prometheus::Registry;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use wahook_queue::{Broker, Publisher, Topology};
use wahook_runtime::{Link, Readiness, Shutdown, metrics::ProcessMetrics, ops};

use budget::{BUDGET_BYTES, Budget};
use duplicates::Duplicates;
use event_service::EventService;
use events::MAX_IN_FLIGHT;
use metrics::ProducerMetrics;
use router::EventRouter;

/// Time limit for the confirm of a publish; after it the answer is 503.
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);
/// Time limit for the last confirms, once no request is left.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Runs until `shutdown`, then answers the requests in flight and returns.
///
/// # Errors
/// When the address cannot be bound.
pub async fn run(settings: ProducerSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    run_over(settings.broker.into(), settings.events, shutdown).await
}

/// Runs the producer over any queue.
///
/// # Errors
/// When the address cannot be bound.
pub async fn run_over(
    broker: Broker,
    settings: EventServiceSettings,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let listener = settings.listen.bind().await?;
    let registry = Registry::new();
    let metrics = ProducerMetrics::new(&registry).context("metrics")?;
    ProcessMetrics::new(&registry, "producer").context("metrics")?;
    let readiness = Readiness::new();
    let (publisher, task) =
        Publisher::start(broker, "wahook-producer", Topology::events(), CONFIRM_LIMIT);
    let link = Link::publishing(readiness.check("broker"), metrics.broker.clone());
    tokio::spawn(link.watch(publisher.link()));
    let router = router(settings, publisher, metrics)
        .route(openapi::PATH, get(openapi::get))
        .merge(ops::router(registry, readiness.clone()));
    let router = ops::refuse_the_rest(router, "send events to POST /v1/events");
    let stopping = shutdown.clone();
    tokio::spawn(async move {
        stopping.soft().await;
        readiness.stopping();
    });
    ops::serve(listener, router, shutdown)
        .await
        .context("serving HTTP")?;
    task.close(CLOSE_LIMIT).await;
    Ok(())
}

/// Creates the router of `POST /v1/events`, for any server: `settings.listen`
/// is ignored.
pub fn router(
    settings: EventServiceSettings,
    publisher: Publisher,
    metrics: ProducerMetrics,
) -> Router {
    let service = Arc::new(EventService {
        tokens: settings.tokens,
        max_body_bytes: settings.max_body_bytes,
        validation: settings.validation,
        publisher,
        router: EventRouter::default(),
        metrics,
        permits: Semaphore::new(MAX_IN_FLIGHT),
        budget: Budget::new(BUDGET_BYTES),
        duplicates: Duplicates::new(),
    });
    Router::new()
        .route("/v1/events", post(events::post))
        .with_state(service)
}
