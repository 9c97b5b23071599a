//! SIGHUP: the file of endpoints is read again, and all of it comes into effect,
//! or nothing.

use anyhow::Context;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::spawn_blocking,
};
use wahook_delivery_log::DeliveryLog;
use wahook_runtime::metrics::Reloads;

use crate::{endpoint_set::EndpointManager, settings::EndpointsFile};

/// Asks for SIGHUP; from here on it does not end the program.
///
/// # Errors
/// When the system refuses a signal handler.
pub(crate) fn signals() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("a handler for SIGHUP")
}

/// Reloads at each signal, for ever.
pub(crate) async fn follow<L: DeliveryLog>(
    mut signals: Signal,
    file: Option<EndpointsFile>,
    mut manager: EndpointManager<L>,
    reloads: Reloads,
) {
    while signals.recv().await.is_some() {
        let Some(file) = file.clone() else {
            tracing::warn!("SIGHUP: nothing to read again, since WEBHOOK_ENDPOINTS is not set");
            continue;
        };
        if reload(file, &mut manager).await {
            reloads.applied.inc();
        } else {
            reloads.refused.inc();
            tracing::error!("SIGHUP: nothing was changed");
        }
    }
}

async fn reload<L: DeliveryLog>(file: EndpointsFile, manager: &mut EndpointManager<L>) -> bool {
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
            tracing::info!("SIGHUP: {path} is in effect");
            true
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "{path} can't be used");
            false
        }
    }
}
