//! Data file of an export.

use std::{path::Path, time::Duration};
use wahook_domain::UnixMillis;
use wahook_embedded::Contents;
use wahook_runtime::clock;

use super::tally::Tally;

/// Open data file and the counts of its contents.
#[cfg_attr(
    not(feature = "mongodb"),
    expect(dead_code, reason = "only a transfer reads the contents")
)]
pub(super) struct Source {
    pub(super) contents: Contents,
    pub(super) since: UnixMillis,
    pub(super) tally: Tally,
}

impl Source {
    /// Opens the file and counts all messages, and the records within the retention.
    ///
    /// # Errors
    /// If the file does not exist, is in use, or can't be read.
    pub(super) fn open(data: &Path, retention_days: Option<u32>) -> anyhow::Result<Self> {
        let contents = Contents::open(data)?;
        let since = retention_start(retention_days);
        let tally = Tally::new(&contents.amounts(since)?);
        Ok(Self {
            contents,
            since,
            tally,
        })
    }
}

/// Returns the start of the retention period; older records are about to expire.
fn retention_start(retention_days: Option<u32>) -> UnixMillis {
    retention_days.map_or(UnixMillis::new(i64::MIN), |days| {
        clock::now().minus(Duration::from_secs(u64::from(days) * 24 * 60 * 60))
    })
}
