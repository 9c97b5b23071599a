//! Reload of the sources file on SIGHUP: all of it comes into effect, or nothing.

use std::future::pending;
use std::sync::Arc;

use tokio::{signal::unix::Signal, task::spawn_blocking};

use super::{file::SourcesFile, source::Sources};

/// Reloads the file on each signal. Runs until cancelled.
pub(crate) async fn apply_on_hangup(
    mut signals: Signal,
    file: Option<SourcesFile>,
    sources: Arc<Sources>,
) {
    while signals.recv().await.is_some() {
        match &file {
            Some(file) => reload(file, &sources).await,
            None => tracing::debug!("sources are not reloaded: WAHOOK_SOURCES is not set"),
        }
    }
    pending::<()>().await;
}

async fn reload(file: &SourcesFile, sources: &Sources) {
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
