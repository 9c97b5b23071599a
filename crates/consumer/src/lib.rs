//! Consumer: takes events from the work queues, delivers them signed and
//! retried, and records each result.

mod admission;
mod batching;
mod client;
mod conclusion;
mod consumer;
mod deliverer;
mod delivery;
mod drainer;
mod endpoint_set;
mod failure;
mod log_health;
mod log_watch;
pub mod metrics;
mod recorder;
mod reload;
mod resolver;
mod session;
mod session_error;
mod settings;
mod tls_failure;
mod worker;

pub use client::{judge, put_headers};
pub use consumer::{Backends, Consumer};
pub use endpoint_set::topology;
pub use settings::{
    ConsumerSettings, DeliverySettings, EndpointSettings, Endpoints, EndpointsFile, FileFault,
    PROGRAM_SETTINGS, SETTINGS, Secrets, WEBHOOK_ENDPOINTS, WEBHOOK_URL,
};

use std::sync::Arc;
use wahook_delivery_log::MongoLog;
use wahook_runtime::Shutdown;

/// Runs until `shutdown`, then finishes the deliveries in flight and returns.
///
/// # Errors
/// Fails if the listen address or the settings can't be used.
pub async fn run(settings: ConsumerSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let log = MongoLog::connect(&settings.mongodb_uri, &settings.mongodb_database).await?;
    let backends = Backends {
        broker: settings.broker.into(),
        log: Arc::new(log),
    };
    let consumer = Consumer::new(backends, settings.delivery)?;
    consumer.run(shutdown).await
}
