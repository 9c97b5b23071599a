//! Reload of the endpoints file on SIGHUP: all of it comes into effect, or nothing. Idle
//! connections are closed in any case.

use tokio::{signal::unix::Signal, task::spawn_blocking};

use crate::{endpoint_set::EndpointManager, metrics::Reloads, settings::EndpointsFile};

/// Reloads the file on each signal; runs until cancelled.
pub(crate) async fn apply_on_hangup(
    mut signals: Signal,
    file: Option<EndpointsFile>,
    mut manager: EndpointManager,
    reloads: Reloads,
) {
    while signals.recv().await.is_some() {
        manager.close_idle_connections();
        let Some(file) = file.clone() else {
            tracing::warn!(
                "SIGHUP closed idle connections only: WEBHOOK_ENDPOINTS is not set, so there is no file to reload"
            );
            continue;
        };
        if reload(file, &mut manager).await {
            reloads.applied.inc();
        } else {
            reloads.refused.inc();
            tracing::error!("endpoints not reloaded, the previous settings stay in effect");
        }
    }
}

async fn reload(file: EndpointsFile, manager: &mut EndpointManager) -> bool {
    let path = file.path.display().to_string();
    let read = spawn_blocking(move || file.read()).await;
    let list = match read {
        Ok(Ok(list)) => list,
        Ok(Err(faults)) => {
            for fault in faults {
                tracing::error!("{path} {fault}");
            }
            return false;
        }
        Err(error) => {
            tracing::error!(%error, "{path} could not be read");
            return false;
        }
    };
    match manager.replace(list) {
        Ok(()) => {
            tracing::info!("endpoints reloaded from {path}");
            true
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "{path} can't be used");
            false
        }
    }
}
