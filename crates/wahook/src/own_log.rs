//! Delivery log in the data file, for the commands `tail` and `stats`.

use anyhow::Context;
use std::{collections::VecDeque, path::PathBuf, time::Duration};
use tokio::time::sleep;
use wahook_cli::{Deliveries, Ended, Follow, OwnLog};
use wahook_delivery_log::{CountBy, Counts, EndedFilter, FollowError, LogUnavailable};
use wahook_domain::UnixMillis;
use wahook_embedded::{EndedReader, LogReader};
use wahook_runtime::{Settings, clock};

use crate::StandaloneSettings;

/// Interval between checks for changes of the file.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Data file (`WAHOOK_DATA`), which a running process may have open.
pub struct FileLog(PathBuf);

impl OwnLog for FileLog {
    type Deliveries = Self;

    fn read(settings: &mut Settings) -> Option<Self> {
        StandaloneSettings::read_data(settings).map(Self)
    }

    fn open(self) -> anyhow::Result<Self> {
        self.reader()
            .context("MONGODB_URI is not set, and WAHOOK_DATA can't be read")?;
        Ok(self)
    }
}

impl FileLog {
    fn reader(&self) -> anyhow::Result<LogReader> {
        Ok(LogReader::open(&self.0)?)
    }
}

impl Deliveries for FileLog {
    type Following = Following;

    async fn follow(
        &self,
        since: Option<UnixMillis>,
        filter: &EndedFilter,
    ) -> Result<Following, FollowError> {
        let reader = LogReader::open(&self.0).map_err(unavailable)?;
        let since = since.unwrap_or_else(clock::now);
        Ok(Following {
            reader: reader.follow(since, filter.clone()),
            next: VecDeque::new(),
        })
    }

    async fn count(
        &self,
        since: UnixMillis,
        until: UnixMillis,
        by: CountBy,
    ) -> anyhow::Result<Vec<Counts>> {
        Ok(self.reader()?.count(since, until, by)?)
    }
}

/// Stream of deliveries as they end.
pub struct Following {
    reader: EndedReader,
    next: VecDeque<Ended>,
}

impl Follow for Following {
    async fn next(&mut self) -> Result<Ended, FollowError> {
        loop {
            if let Some(ended) = self.next.pop_front() {
                return Ok(ended);
            }
            let new = self.reader.read_new().map_err(unavailable)?;
            if new.is_empty() {
                sleep(POLL_INTERVAL).await;
            }
            self.next.extend(new);
        }
    }
}

fn unavailable(error: impl std::fmt::Display) -> FollowError {
    FollowError::Log(LogUnavailable::File(error.to_string()))
}
