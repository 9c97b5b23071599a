//! Reload of the sources file on SIGHUP: all of it comes into effect, or nothing.

use std::future::pending;
use std::sync::Arc;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
};

use super::{file::SourcesFile, source::Sources};

/// Registers for SIGHUP, and reloads the file on each. Runs until cancelled.
pub(crate) async fn apply_on_hangup(file: Option<SourcesFile>, sources: Arc<Sources>) {
    let Some(file) = file else {
        return pending().await;
    };
    match signal(SignalKind::hangup()) {
        Ok(signals) => apply(signals, file, &sources).await,
        Err(error) => {
            tracing::error!(%error, "sources are not reloaded on SIGHUP");
            pending::<()>().await;
        }
    }
}

async fn apply(mut signals: Signal, file: SourcesFile, sources: &Sources) {
    while signals.recv().await.is_some() {
        let reading = file.clone();
        match spawn_blocking(move || reading.read()).await {
            Ok(Ok(read)) => {
                tracing::info!(sources = read.len(), file = %file.path.display(), "sources reloaded");
                sources.replace(read);
            }
            Ok(Err(faults)) => {
                for fault in faults {
                    tracing::error!("{} {fault}", file.path.display());
                }
                tracing::error!("sources not reloaded, the previous ones stay in effect");
            }
            Err(error) => tracing::error!(%error, "sources not reloaded"),
        }
    }
    pending::<()>().await;
}
