//! Reads the log next to a running process: counts deliveries by outcome, and follows
//! deliveries as they end.

use std::{collections::BTreeSet, path::Path};

use rusqlite::{Connection, Row, params};
use wahook_delivery_log::{CountBy, Counts, Ended, EndedFilter};
use wahook_domain::{Status, UnixMillis};

use crate::{error::OpenError, open};

/// Maximum delay between the end of a delivery and its write to the log. Delayed results
/// are rare, and late by a few seconds only.
const LATE_MS: i64 = 30_000;
/// Maximum number of deliveries per read.
const READ_BATCH: usize = 1_000;

/// Read-only connection, which neither waits for a writer nor blocks one.
pub struct LogReader {
    db: Connection,
}

impl LogReader {
    /// Opens an existing file.
    ///
    /// # Errors
    /// If the file does not exist or was not written by wahook.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let db = open::open_read_only(path)?;
        Ok(Self { db })
    }

    /// Counts the deliveries of events accepted at or after `since` and before `until`.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn count(
        &self,
        since: UnixMillis,
        until: UnixMillis,
        by: CountBy,
    ) -> rusqlite::Result<Vec<Counts>> {
        let kind = match by {
            CountBy::Event => "event",
            CountBy::Status => "status",
            CountBy::Endpoint => "endpoint",
        };
        let mut statement = self.db.prepare(&format!(
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

    /// Follows the deliveries that end at or after `since`.
    #[must_use]
    pub fn follow(self, since: UnixMillis, filter: EndedFilter) -> EndedReader {
        EndedReader {
            db: self.db,
            filter,
            since: since.get(),
            reached: since.get(),
            reported: BTreeSet::new(),
            version: None,
        }
    }
}

/// Reader of ended deliveries, in the order of their end.
pub struct EndedReader {
    db: Connection,
    filter: EndedFilter,
    since: i64,
    /// Latest end that was reported.
    reached: i64,
    /// Deliveries that were reported and that the next query returns again.
    reported: BTreeSet<(i64, String)>,
    /// Version of the file at the last complete read.
    version: Option<i64>,
}

impl EndedReader {
    /// Returns deliveries that ended since the last call, at most 1,000. Cheap while the
    /// file does not change.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn read_new(&mut self) -> rusqlite::Result<Vec<Ended>> {
        // Changes with each commit of another connection. Read before the query, so that
        // no commit is missed.
        let version = self
            .db
            .query_row("PRAGMA data_version", [], |row| row.get(0))?;
        if self.version == Some(version) {
            return Ok(Vec::new());
        }
        let from = self.since.max(self.reached.saturating_sub(LATE_MS));
        self.reported = self.reported.split_off(&(from, String::new()));
        let mut statement = self.db.prepare_cached(
            "SELECT completedAt, _id, eventId, event, endpoint, webhookUrl, status, statusCode, \
             retryCount, errorMessage, createdAt \
             FROM webhooklogs WHERE completedAt >= ? ORDER BY completedAt",
        )?;
        let mut rows = statement.query(params![from])?;
        let (mut ended, mut are_all) = (Vec::new(), true);
        while let Some(row) = rows.next()? {
            if ended.len() >= READ_BATCH {
                are_all = false;
                break;
            }
            let (at, key): (i64, String) = (row.get(0)?, row.get(1)?);
            if self.reported.insert((at, key)) {
                self.reached = self.reached.max(at);
                ended.push(read(row, at)?);
            }
        }
        self.version = are_all.then_some(version);
        ended.retain(|ended| matches(ended, &self.filter));
        Ok(ended)
    }
}

fn matches(ended: &Ended, filter: &EndedFilter) -> bool {
    let has = |wanted: &[String], name: &String| wanted.is_empty() || wanted.contains(name);
    has(&filter.events, &ended.event)
        && has(&filter.endpoints, &ended.endpoint)
        && filter.delivered.is_none_or(|is| is == ended.delivered)
}

fn read(row: &Row<'_>, ended_at: i64) -> rusqlite::Result<Ended> {
    let status: String = row.get(6)?;
    Ok(Ended {
        event_id: row.get(2)?,
        event: row.get(3)?,
        endpoint: row.get(4)?,
        webhook_url: row.get(5)?,
        delivered: status == Status::Success.as_str(),
        status_code: row.get(7)?,
        retry_count: row.get(8)?,
        error: row.get(9)?,
        accepted_at: UnixMillis::new(row.get(10)?),
        ended_at: UnixMillis::new(ended_at),
    })
}

fn whole(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    Ok(u64::try_from(number).unwrap_or_default())
}
