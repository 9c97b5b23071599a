//! Producer, consumer and store in one process: the whole system on one file, with the same
//! HTTP, settings, signatures, retries and metrics as the pair on RabbitMQ and MongoDB.

mod banner;
pub mod export;
mod own_log;
mod settings;

pub use own_log::FileLog;
pub use settings::StandaloneSettings;

use anyhow::Context;
use std::path::PathBuf;
use tokio::task::spawn_blocking;
use wahook_consumer::Backends;
use wahook_embedded::{OpenError, Store};
use wahook_receiver::Receiver;
use wahook_runtime::Shutdown;

/// Runs until `shutdown`, then finishes what is in flight and closes the file.
///
/// # Errors
/// When the file is in use or unusable, or an address can't be listened on.
pub async fn run(settings: StandaloneSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let store = open(settings.data.clone()).await?;
    let banner = banner::of(&settings);
    // It listens before anything is delivered to it.
    let receiver = match settings.receiver {
        Some(receiver) => Some((receiver.address.bind().await?, receiver.keys)),
        None => None,
    };
    let until = shutdown.clone();
    let receiving = async {
        if let Some((listener, keys)) = receiver {
            Receiver::new(keys).serve(listener, until).await?;
        }
        Ok(())
    };
    let backends = Backends {
        broker: store.broker(),
        log: store.log(),
    };
    let producing = wahook_producer::run_over(store.broker(), settings.intake, shutdown.clone());
    let consuming = wahook_consumer::run_over(backends, settings.delivery, shutdown);
    let told = async {
        banner::print(&banner);
        Ok(())
    };
    let worked = tokio::try_join!(producing, consuming, receiving, told);
    // What was asked of it is written, whichever way the work ended.
    spawn_blocking(move || drop(store))
        .await
        .context("closing the data file")?;
    worked.map(drop)
}

async fn open(data: PathBuf) -> anyhow::Result<Store> {
    let path = std::path::absolute(&data).unwrap_or(data);
    tracing::info!(path = %path.display(), "the data file");
    let opened: Result<Store, OpenError> = spawn_blocking(move || Store::open(&path)).await?;
    Ok(opened?)
}
