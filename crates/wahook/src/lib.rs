//! Producer, consumer and embedded store in one process, on one data file. HTTP API,
//! settings, signatures, retries and metrics are those of the distributed deployment.

mod banner;
pub mod check;
mod console;
mod console_port;
mod earlier_events;
pub mod export;
pub mod own_log;
mod settings;
mod store_metrics;

pub use settings::{COMMAND_SETTINGS, PROGRAM_SETTINGS, SETTINGS, StandaloneSettings};

use anyhow::Context;
use earlier_events::LoggedEvents;
use std::{path::PathBuf, sync::Arc};
use tokio::task::spawn_blocking;
use wahook_admin::auto_redrive::AutoRedriver;
use wahook_consumer::{Backends, Consumer};
use wahook_embedded::{Destination, EmbeddedOperatorState, OpenError, Store};
use wahook_receiver::Receiver;
use wahook_runtime::Shutdown;
use wahook_traces::{MessagingSystem, Traces};

/// Runs until `shutdown`, then drains requests in flight and closes the file.
///
/// # Errors
/// If the file is in use, unusable or holds events for a webhook while none is configured, or an
/// address can't be bound.
pub async fn run(mut settings: StandaloneSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let traces = std::mem::take(&mut settings.traces);
    let traces = Traces::start(traces, "wahook", MessagingSystem::Embedded)?;
    let ended = run_parts(settings, shutdown.clone()).await;
    traces.stop(&shutdown).await;
    ended
}

async fn run_parts(mut settings: StandaloneSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    if settings.receiver.is_none() && settings.delivery.log_retention_days.is_none() {
        tracing::warn!(
            "LOG_RETENTION_DAYS is not set: delivery records are kept, and the data file grows; \
             set it, for example to 90"
        );
    }
    let store = open(settings.data.clone(), settings.destination()).await?;
    // Bind the receiver before the first delivery.
    let listener = match &settings.receiver {
        Some(receiver) => Some(receiver.address.bind().await?),
        None => None,
    };
    let operator = Arc::new(open_operator_state(settings.data.clone()).await?);
    let console = console::bind(
        console_port::leave_to_others(&mut settings),
        (&store, settings.data.clone()),
        Arc::clone(&operator),
        shutdown.clone(),
    );
    let console = console.await?;
    let banner = banner::of(&settings, console.as_ref());
    let operating = console::serve(console);
    let until = shutdown.clone();
    let receiving = async {
        if let Some((listener, receiver)) = listener.zip(settings.receiver) {
            Receiver::new(receiver.keys).serve(listener, until).await?;
        }
        Ok(())
    };
    let backends = Backends {
        broker: store.broker(),
        log: Arc::new(store.log().redacting(settings.delivery.log_redact.clone())),
        circuits: operator.clone(),
        operator,
        history: None,
    };
    let data = settings.data;
    let earlier = Arc::new(LoggedEvents::open(&data)?);
    let producer = settings.producer;
    let producing = wahook_producer::run_over(store.broker(), earlier, producer, shutdown.clone());
    let broker = store.broker();
    let consuming = async {
        let consumer = Consumer::new(backends, settings.delivery)?;
        let registry = consumer.registry().clone();
        let redriver = AutoRedriver::new(broker, consumer.recoveries(), &registry)?;
        let redriving = async {
            redriver.run(shutdown.clone()).await;
            Ok(())
        };
        let measuring = store_metrics::keep_current(&registry, data);
        tokio::select! {
            ended = async { tokio::try_join!(consumer.run(shutdown.clone()), redriving) } => ended.map(|((), ())| ()),
            Err(error) = measuring => Err(error),
        }
    };
    let greeting = async {
        banner::print(&banner);
        Ok(())
    };
    let worked = tokio::try_join!(producing, consuming, receiving, operating, greeting);
    // Dropping the store writes all pending requests, also after an error.
    spawn_blocking(move || drop(store))
        .await
        .context("closing the data file")?;
    worked.map(drop)
}

async fn open_operator_state(data: PathBuf) -> anyhow::Result<EmbeddedOperatorState> {
    Ok(spawn_blocking(move || EmbeddedOperatorState::open(&data)).await??)
}

async fn open(data: PathBuf, destination: Destination) -> anyhow::Result<Store> {
    let path = std::path::absolute(&data).unwrap_or(data);
    tracing::info!(path = %path.display(), "opening data file");
    let opened = spawn_blocking(move || Store::open_for(&path, &destination));
    let opened: Result<Store, OpenError> = opened.await?;
    Ok(opened?)
}
