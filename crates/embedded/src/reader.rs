//! Reads the log next to a running process, for commands and the console.

mod another;
mod follow;
mod limited;
mod search;
mod summary;
mod survey;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, Row};
use wahook_delivery_log::{
    CountBy, Counts, Cursor, DeliverySearch, EndedFilter, EndedStream, FollowFuture, LogFuture,
    LogReader, LogUnavailable, LoggedDelivery, Page, RecentEndpoint, SEARCH_LIMIT, SearchFilter,
    Summary, SurveyCursor, Surveyed,
};
use wahook_domain::{EndpointName, EventId, QueuedEvent, UnixMillis};
use wahook_runtime::clock;

use crate::{
    error::{OpenError, unavailable},
    open,
    records::key,
    retention,
};
use follow::Following;
use survey::Survey;

/// Number of records whose endpoints are recent.
const RECENT: i64 = 1_000;

/// Reader of the log in a data file. Each method opens the file read-only; it neither waits
/// for a writer nor blocks one. Reads of [`LogReader`] block the thread; those of
/// [`DeliverySearch`] run on another.
#[derive(Debug, Clone)]
pub struct EmbeddedReader {
    path: PathBuf,
}

impl EmbeddedReader {
    /// Checks that the file can be read.
    ///
    /// # Errors
    /// If the file does not exist or was not written by wahook.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        open::open_read_only(path)?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Returns true if the log has another event with the id of this one, which is in canonical
    /// form, accepted at or after `since`.
    ///
    /// # Errors
    /// If the file can't be read in time.
    pub async fn has_another(
        &self,
        event: &QueuedEvent,
        since: UnixMillis,
    ) -> Result<bool, LogUnavailable> {
        let event = event.clone();
        self.query(move |db| another::exists(db, &event, since))
            .await
    }

    fn connect(&self) -> Result<Connection, LogUnavailable> {
        open::open_read_only(&self.path).map_err(unavailable)
    }

    /// Runs a query of a search.
    async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogUnavailable> {
        limited::within(SEARCH_LIMIT, self.connect()?, query).await
    }
}

impl DeliverySearch for EmbeddedReader {
    fn search<'a>(
        &'a self,
        filter: &'a SearchFilter,
        cursor: Option<&'a Cursor>,
        limit: usize,
    ) -> LogFuture<'a, Page> {
        let (filter, cursor) = (filter.clone(), cursor.cloned());
        Box::pin(self.query(move |db| search::search(db, &filter, cursor.as_ref(), limit)))
    }

    fn delivery<'a>(
        &'a self,
        id: &'a EventId,
        endpoint: &'a EndpointName,
    ) -> LogFuture<'a, Option<LoggedDelivery>> {
        let (id, endpoint) = (id.clone(), endpoint.clone());
        Box::pin(self.query(move |db| search::delivery(db, &id, &endpoint)))
    }

    fn summary(&self, since: UnixMillis, until: UnixMillis) -> LogFuture<'_, Summary> {
        Box::pin(self.query(move |db| summary::summary(db, since, until)))
    }

    fn recent(&self) -> LogFuture<'_, Vec<RecentEndpoint>> {
        Box::pin(self.query(search::recent))
    }
}

impl LogReader for EmbeddedReader {
    fn follow<'a>(
        &'a self,
        since: Option<UnixMillis>,
        filter: &'a EndedFilter,
    ) -> FollowFuture<'a, Box<dyn EndedStream>> {
        Box::pin(async move {
            let since = since.unwrap_or_else(clock::now);
            let following = Following::new(self.connect()?, since, filter.clone());
            Ok(Box::new(following) as Box<dyn EndedStream>)
        })
    }

    fn count(
        &self,
        since: UnixMillis,
        until: UnixMillis,
        by: CountBy,
    ) -> LogFuture<'_, Vec<Counts>> {
        Box::pin(async move { count(&self.connect()?, since, until, by).map_err(unavailable) })
    }

    fn survey(&self, since: UnixMillis, until: UnixMillis) -> LogFuture<'_, Box<dyn SurveyCursor>> {
        Box::pin(async move {
            let survey = Survey::new(self.connect()?, since, until);
            Ok(Box::new(survey) as Box<dyn SurveyCursor>)
        })
    }

    fn survey_of<'a>(&'a self, ids: &'a [EventId]) -> LogFuture<'a, Vec<Surveyed>> {
        Box::pin(async move { survey::of_events(&self.connect()?, ids) })
    }

    fn recent_endpoints(&self) -> LogFuture<'_, BTreeSet<EndpointName>> {
        Box::pin(async move { recent_endpoints(&self.connect()?).map_err(unavailable) })
    }

    fn lifetime(&self) -> LogFuture<'_, Option<Duration>> {
        Box::pin(async move { retention::lifetime(&self.connect()?).map_err(unavailable) })
    }
}

fn count(
    db: &Connection,
    since: UnixMillis,
    until: UnixMillis,
    by: CountBy,
) -> rusqlite::Result<Vec<Counts>> {
    let kind = by.as_str();
    let mut statement = db.prepare(&format!(
        "SELECT {kind}, sum(status = 'success'), sum(status = 'failed'), \
         sum(status = 'retrying'), \
         sum(status = 'success' AND json_array_length(attempts) = 1), \
         sum(json_array_length(attempts) - 1) \
         FROM webhooklogs WHERE createdAt >= ? AND createdAt < ? GROUP BY 1"
    ))?;
    let counts = statement.query_map([since.get(), until.get()], |row| {
        Ok(Counts {
            kind: row.get(0)?,
            success: whole(row, 1)?,
            failed: whole(row, 2)?,
            retrying: whole(row, 3)?,
            at_first_attempt: whole(row, 4)?,
            retries: whole(row, 5)?,
        })
    })?;
    counts.collect()
}

fn whole(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    Ok(u64::try_from(number).unwrap_or_default())
}

fn recent_endpoints(db: &Connection) -> rusqlite::Result<BTreeSet<EndpointName>> {
    let mut statement =
        db.prepare("SELECT _id FROM webhooklogs ORDER BY createdAt DESC LIMIT ?")?;
    let mut rows = statement.query([RECENT])?;
    let mut endpoints = BTreeSet::new();
    while let Some(row) = rows.next()? {
        endpoints.extend(key(row, 0)?.map(|(_, endpoint)| endpoint));
    }
    Ok(endpoints)
}
