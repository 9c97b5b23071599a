//! Follows deliveries as they end.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use rusqlite::{Connection, Row, params};
use tokio::time::sleep;
use wahook_delivery_log::{Ended, EndedFilter, EndedStream, FollowFuture};
use wahook_domain::{Status, UnixMillis};

use crate::error::unavailable;

/// Interval between checks for changes of the file.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Maximum delay between the end of a delivery and its write to the log. Delayed results
/// are rare, and late by a few seconds only.
const LATE_MS: i64 = 30_000;
/// Maximum number of deliveries per read.
const READ_BATCH: usize = 1_000;

/// Stream of ended deliveries, in the order of their end.
pub(super) struct Following {
    db: Connection,
    filter: EndedFilter,
    since: i64,
    /// Latest end that was reported.
    reached: i64,
    /// Deliveries that were reported and that the next query returns again.
    reported: BTreeSet<(i64, String)>,
    /// Version of the file at the last complete read.
    version: Option<i64>,
    /// Deliveries that were read and not yet returned.
    read: VecDeque<Ended>,
}

impl EndedStream for Following {
    fn next(&mut self) -> FollowFuture<'_, Ended> {
        Box::pin(async move {
            loop {
                if let Some(ended) = self.read.pop_front() {
                    return Ok(ended);
                }
                let new = self.read_new().map_err(unavailable)?;
                if new.is_empty() {
                    sleep(POLL_INTERVAL).await;
                }
                self.read.extend(new);
            }
        })
    }
}

impl Following {
    /// Follows the deliveries that end at or after `since`.
    pub(super) fn new(db: Connection, since: UnixMillis, filter: EndedFilter) -> Self {
        Self {
            db,
            filter,
            since: since.get(),
            reached: since.get(),
            reported: BTreeSet::new(),
            version: None,
            read: VecDeque::new(),
        }
    }

    /// Returns deliveries that ended since the last call, at most 1,000. Cheap while the
    /// file does not change.
    fn read_new(&mut self) -> rusqlite::Result<Vec<Ended>> {
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
             retryCount, errorMessage, createdAt, instr(attempts, '\"otherEvent\":true') \
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
        // Quotes within texts are escaped, so no text is taken for a mark.
        other_event: row.get::<_, i64>(11)? > 0,
    })
}
