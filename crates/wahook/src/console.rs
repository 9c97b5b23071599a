//! Console on the data file of the process.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use tokio::task::spawn_blocking;
use wahook_console::{Backends, Console, ConsoleSettings};
use wahook_embedded::{
    EmbeddedEraser, EmbeddedInspector, EmbeddedOperatorState, EmbeddedReader, OpenError, Store,
};
use wahook_runtime::Shutdown;

pub(crate) const ADVICE: &str =
    "the console can't start: set another CONSOLE_LISTEN, or `off` to run without it";

/// Opens the console, if it is not off. Without a given address there is none either if it
/// can't be opened, such as because another `wahook` uses the default address.
///
/// # Errors
/// If the given address can't be bound, or the data file can't be read.
pub(crate) async fn bind(
    settings: Option<ConsoleSettings>,
    (store, data): (&Store, PathBuf),
    operator: Arc<EmbeddedOperatorState>,
    shutdown: Shutdown,
) -> anyhow::Result<Option<Console>> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    let is_given = settings.is_listen_given;
    match open(settings, (store, data), operator, shutdown).await {
        Ok(console) => Ok(Some(console.as_part())),
        Err(error) if is_given => Err(error).context(ADVICE),
        Err(error) => {
            let error = format!("{error:#}");
            tracing::warn!(error, "no console: {ADVICE}");
            Ok(None)
        }
    }
}

/// Opens the console with readers of the data file next to the store that writes it.
async fn open(
    settings: ConsoleSettings,
    (store, data): (&Store, PathBuf),
    operator: Arc<EmbeddedOperatorState>,
    shutdown: Shutdown,
) -> anyhow::Result<Console> {
    let opened = spawn_blocking(move || -> Result<_, OpenError> {
        let reader = EmbeddedReader::open(&data)?;
        let eraser = EmbeddedEraser::open(&data)?;
        Ok((reader, eraser, EmbeddedInspector::open(&data)?))
    });
    let (reader, eraser, queues) = opened.await??;
    let reader = Arc::new(reader);
    let backends = Backends {
        search: reader.clone(),
        reader,
        eraser: Arc::new(eraser),
        jobs: operator.clone(),
        circuits: operator.clone(),
        operator,
        broker: store.broker(),
        stored: Some(Arc::new(queues)),
    };
    Console::bind(settings, backends, shutdown).await
}

/// Serves the console, if there is one, until the shutdown.
pub(crate) async fn serve(console: Option<Console>) -> anyhow::Result<()> {
    match console {
        Some(console) => console.serve().await,
        None => Ok(()),
    }
}
