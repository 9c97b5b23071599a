//! The producer: takes events over HTTP and answers once the broker has them.

mod batch;
mod body;
mod budget;
mod duplicates;
mod event_service;
mod events;
mod headers;
mod openapi;
mod problem;
mod recent;
mod router;
mod settings;
mod token;

pub use settings::{EventServiceSettings, ProducerSettings};
pub use token::{InvalidTokens, Tokens};

use anyhow::Context;
use axum::{
    Router,
    routing::{get, post},
};
use prometheus::Registry;
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use wahook_queue::{Broker, Publisher, Topology, link::follow};
use wahook_runtime::{
    Link, Readiness, Shutdown,
    metrics::{ProcessMetrics, ProducerMetrics},
    ops,
};

use budget::{BUDGET_BYTES, Budget};
use duplicates::Duplicates;
use event_service::EventService;
use events::MAX_IN_FLIGHT;
use router::EventRouter;

/// How long a publish may wait for its confirm before the answer is 503.
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);
/// How long the last confirms may take once no request is left.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Runs until `shutdown`, then answers what is under way and returns.
///
/// # Errors
/// When the address can't be listened on.
pub async fn run(settings: ProducerSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    run_over(settings.broker.into(), settings.intake, shutdown).await
}

/// The same, over any queue.
///
/// # Errors
/// When the address can't be listened on.
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
    tokio::spawn(follow(publisher.link(), move |state| {
        let (blocked, error) = (state.blocked.as_deref(), state.last_error.as_deref());
        link.observe(state.up, state.connections, blocked, error);
    }));
    let router = router(settings, publisher, metrics)
        .route(openapi::PATH, get(openapi::get))
        .merge(ops::router(registry, readiness.clone()));
    let router = ops::refuse_the_rest(router, "events are taken by POST /v1/events");
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

/// What answers `POST /v1/events`, wherever it is served: `settings.listen` is not looked
/// at.
pub fn router(
    settings: EventServiceSettings,
    publisher: Publisher,
    metrics: ProducerMetrics,
) -> Router {
    let intake = Arc::new(EventService {
        tokens: settings.tokens,
        max_body_bytes: settings.max_body_bytes,
        validation: settings.validation,
        publisher,
        unwanted: EventRouter::default(),
        metrics,
        permits: Semaphore::new(MAX_IN_FLIGHT),
        budget: Budget::new(BUDGET_BYTES),
        duplicates: Duplicates::new(),
    });
    Router::new()
        .route("/v1/events", post(events::post))
        .with_state(intake)
}
