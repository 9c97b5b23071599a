//! Log, queues and orders in the data file, for the commands `tail`, `stats`, `reconcile`,
//! `endpoints` and `erase`.

use anyhow::Context;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use wahook_admin::{
    endpoints::{OpenLog as OpenRecords, OpenOperatorState},
    erase::OpenEraser,
    reconcile::Sources,
};
use wahook_cli::OpenLog;
use wahook_delivery_log::{LogEraser, LogReader};
use wahook_embedded::{EmbeddedEraser, EmbeddedInspector, EmbeddedOperatorState, EmbeddedReader};
use wahook_operator_state::SharedOperatorState;
use wahook_queue::Inspector;
use wahook_runtime::Settings;

use crate::StandaloneSettings;

/// Reads the path of the data file (`WAHOOK_DATA`), which a running process may have open.
/// Returns `None` only after a fault.
pub fn read(settings: &mut Settings) -> Option<OpenLog> {
    let path = StandaloneSettings::read_data(settings)?;
    Some(Box::pin(async move { open(&path) }))
}

/// Opens log and queues of the data file, which a running process may have open.
///
/// # Errors
/// If the file does not exist, was not written by wahook, or is in use by an older wahook.
pub fn sources(path: &Path) -> anyhow::Result<Sources> {
    let queues = EmbeddedInspector::open(path)?;
    Ok(Sources {
        log: Box::new(EmbeddedReader::open(path)?),
        inspector: Inspector::of_store(Arc::new(queues)),
        max_hold: Duration::ZERO,
    })
}

/// Returns what opens the records of the data file, which a running process may have open.
#[must_use]
pub fn records(path: PathBuf) -> OpenRecords {
    Box::pin(async move { Ok(Box::new(EmbeddedReader::open(&path)?) as Box<dyn LogReader>) })
}

/// Returns what opens the orders of operators in the data file, which a running process may have
/// open.
#[must_use]
pub fn operator_state(path: PathBuf) -> OpenOperatorState {
    Box::pin(
        async move { Ok(Arc::new(EmbeddedOperatorState::open(&path)?) as SharedOperatorState) },
    )
}

/// Returns what opens the eraser of the data file, which a running process may have open.
#[must_use]
pub fn eraser(path: PathBuf) -> OpenEraser {
    Box::pin(async move { Ok(Arc::new(EmbeddedEraser::open(&path)?) as Arc<dyn LogEraser>) })
}

fn open(path: &Path) -> anyhow::Result<Box<dyn LogReader>> {
    let reader = EmbeddedReader::open(path)
        .context("MONGODB_URI is not set, and WAHOOK_DATA can't be read")?;
    Ok(Box::new(reader))
}
