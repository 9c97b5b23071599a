//! Reads the state of many records, without payloads.

use std::collections::VecDeque;

use rusqlite::{Connection, Row, params};
use wahook_delivery_log::{LogFuture, LogUnavailable, SurveyCursor, Surveyed, record_key};
use wahook_domain::{EventId, Status, UnixMillis};

use crate::{
    error::unavailable,
    records::{self, key},
};

/// Records per query, so that a cursor holds neither a lock nor much memory.
const BATCH: i64 = 1_000;

/// Cursor over the records of a time window, by time of acceptance.
pub(super) struct Survey {
    db: Connection,
    /// Time of acceptance and row of the last record that was read.
    reached: (i64, i64),
    until: i64,
    read: VecDeque<Surveyed>,
}

impl Survey {
    /// Starts before the first record of an event accepted at or after `since`.
    pub(super) fn new(db: Connection, since: UnixMillis, until: UnixMillis) -> Self {
        Self {
            db,
            reached: (since.get().saturating_sub(1), i64::MAX),
            until: until.get(),
            read: VecDeque::new(),
        }
    }

    fn read_batch(&mut self) -> Result<(), LogUnavailable> {
        let mut statement = self
            .db
            .prepare_cached(
                "SELECT event, createdAt, attempts, _id, status, rowid FROM webhooklogs \
                 WHERE (createdAt, rowid) > (?, ?) AND createdAt < ? \
                 ORDER BY createdAt, rowid LIMIT ?",
            )
            .map_err(unavailable)?;
        let (time, row) = self.reached;
        let mut rows = statement
            .query(params![time, row, self.until, BATCH])
            .map_err(unavailable)?;
        while let Some(row) = rows.next().map_err(unavailable)? {
            self.read.push_back(read(row)?);
            self.reached = position(row).map_err(unavailable)?;
        }
        Ok(())
    }
}

impl SurveyCursor for Survey {
    fn next(&mut self) -> LogFuture<'_, Option<Surveyed>> {
        Box::pin(async move {
            if self.read.is_empty() {
                self.read_batch()?;
            }
            Ok(self.read.pop_front())
        })
    }
}

/// Returns the records of these events, for all endpoints.
pub(super) fn of_events(db: &Connection, ids: &[EventId]) -> Result<Vec<Surveyed>, LogUnavailable> {
    // The keys of an event start with its id and a `/`; `0` is the character after it.
    let mut statement = db
        .prepare(
            "SELECT event, createdAt, attempts, _id, status FROM webhooklogs \
             WHERE _id >= ?1 || '/' AND _id < ?1 || '0'",
        )
        .map_err(unavailable)?;
    let mut found = Vec::new();
    for id in ids {
        let mut rows = statement.query([id.as_str()]).map_err(unavailable)?;
        while let Some(row) = rows.next().map_err(unavailable)? {
            found.push(read(row)?);
        }
    }
    Ok(found)
}

fn position(row: &Row<'_>) -> rusqlite::Result<(i64, i64)> {
    Ok((row.get(1)?, row.get(5)?))
}

/// Reads a row that starts with the columns of [`records::read`], then key and status.
fn read(row: &Row<'_>) -> Result<Surveyed, LogUnavailable> {
    let Some((id, endpoint)) = key(row, 3).map_err(unavailable)? else {
        return Ok(Surveyed::Foreign);
    };
    let status: String = row.get(4).map_err(unavailable)?;
    if status == Status::Success.as_str() {
        return Ok(Surveyed::Delivered(id, endpoint));
    }
    let unreadable = |reason: String| LogUnavailable::Unreadable {
        id: record_key(&id, &endpoint),
        reason,
    };
    let mut record =
        records::read(row, &id, &endpoint).map_err(|error| unreadable(error.to_string()))?;
    let last = record.attempts.pop();
    record.attempts = vec![last.ok_or_else(|| unreadable("no attempts".to_owned()))?];
    Ok(Surveyed::Open(record))
}
