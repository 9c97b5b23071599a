//! The log, read beside whoever works on the file: how many deliveries ended how, and which
//! end now.

use std::{collections::BTreeSet, path::Path};

use rusqlite::{Connection, Row, params};
use wahook_delivery_log::{CountBy, Counts, Ended, EndedFilter};
use wahook_domain::{Status, UnixMillis};

use crate::{OpenError, open};

/// How much later than others a delivery may be written that ended before them: results that
/// were kept back are rare, and waited for no longer than some seconds.
const LATE_MS: i64 = 30_000;
/// Deliveries that are read at once.
const READ_AT_ONCE: usize = 1_000;

/// A connection for reading, which neither waits for a writer nor lets one wait.
pub struct LogReader {
    db: Connection,
}

impl LogReader {
    /// Opens a file that is there.
    ///
    /// # Errors
    /// When there is none, or it is none of ours.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let db = open::look(path)?;
        Ok(Self { db })
    }

    /// Counts the deliveries of the events that were accepted at `since` or later, and before
    /// `until`.
    ///
    /// # Errors
    /// When the file can't be read.
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

    /// Follows the deliveries that have ended at `since` or later.
    #[must_use]
    pub fn follow(self, since: UnixMillis, filter: EndedFilter) -> Ends {
        Ends {
            db: self.db,
            filter,
            since: since.get(),
            reached: since.get(),
            told: BTreeSet::new(),
            version: None,
        }
    }
}

/// Deliveries in the order of their ends, as far as they are written.
pub struct Ends {
    db: Connection,
    filter: EndedFilter,
    since: i64,
    /// The latest end that was told.
    reached: i64,
    /// What was told of the time that is still looked at.
    told: BTreeSet<(i64, String)>,
    /// The version of the file at the last look that found nothing more.
    version: Option<i64>,
}

impl Ends {
    /// Those that are new since the last call; some of them, where there are many. While the
    /// file does not change a call costs next to nothing.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn new_ones(&mut self) -> rusqlite::Result<Vec<Ended>> {
        // It changes with each commit of others. Asked before the look, it misses none.
        let version = self
            .db
            .query_row("PRAGMA data_version", [], |row| row.get(0))?;
        if self.version == Some(version) {
            return Ok(Vec::new());
        }
        let from = self.since.max(self.reached.saturating_sub(LATE_MS));
        self.told = self.told.split_off(&(from, String::new()));
        let mut statement = self.db.prepare_cached(
            "SELECT completedAt, _id, eventId, event, endpoint, webhookUrl, status, statusCode, \
             retryCount, errorMessage, createdAt \
             FROM webhooklogs WHERE completedAt >= ? ORDER BY completedAt",
        )?;
        let mut rows = statement.query(params![from])?;
        let (mut ended, mut are_all) = (Vec::new(), true);
        while let Some(row) = rows.next()? {
            if ended.len() >= READ_AT_ONCE {
                are_all = false;
                break;
            }
            let (at, key): (i64, String) = (row.get(0)?, row.get(1)?);
            if self.told.insert((at, key)) {
                self.reached = self.reached.max(at);
                ended.push(read(row, at)?);
            }
        }
        self.version = are_all.then_some(version);
        ended.retain(|ended| is_wanted(ended, &self.filter));
        Ok(ended)
    }
}

fn is_wanted(ended: &Ended, filter: &EndedFilter) -> bool {
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
