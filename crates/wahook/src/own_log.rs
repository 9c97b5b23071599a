//! Delivery log in the data file, for the commands `tail` and `stats`.

use anyhow::Context;
use std::path::Path;
use wahook_cli::OpenLog;
use wahook_delivery_log::LogReader;
use wahook_embedded::EmbeddedReader;
use wahook_runtime::Settings;

use crate::StandaloneSettings;

/// Reads the path of the data file (`WAHOOK_DATA`), which a running process may have open.
/// Returns `None` only after a fault.
pub fn read(settings: &mut Settings) -> Option<OpenLog> {
    let path = StandaloneSettings::read_data(settings)?;
    Some(Box::pin(async move { open(&path) }))
}

fn open(path: &Path) -> anyhow::Result<Box<dyn LogReader>> {
    let reader = EmbeddedReader::open(path)
        .context("MONGODB_URI is not set, and WAHOOK_DATA can't be read")?;
    Ok(Box::new(reader))
}
