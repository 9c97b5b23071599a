//! Searches for deliveries.

mod query;

use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use wahook_delivery_log::{
    Cursor, FoundDelivery, LoggedDelivery, Page, RecentEndpoint, SearchFilter, record_key,
};
use wahook_domain::{EndpointName, EventId, Status, UnixMillis};

use super::RECENT;
use crate::{
    records::{self, key},
    results,
};
use query::wanted;

/// Columns of [`found`].
macro_rules! found_columns {
    () => {
        "_id, event, webhookUrl, status, statusCode, retryCount, errorMessage, createdAt, \
         updatedAt, lastRetryAt, completedAt, nextAttemptAt, source, session, chat, messageId, \
         json_array_length(attempts)"
    };
}

/// Returns the deliveries that match, newest first, at most `limit`.
pub(super) fn search(
    db: &Connection,
    filter: &SearchFilter,
    cursor: Option<&Cursor>,
    limit: usize,
) -> rusqlite::Result<Page> {
    let (wanted, values) = wanted(filter, cursor);
    let columns = found_columns!();
    let query = format!("SELECT {columns} FROM webhooklogs {wanted}");
    let mut statement = db.prepare(&query)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut deliveries = Vec::new();
    while deliveries.len() <= limit
        && let Some(row) = rows.next()?
    {
        deliveries.extend(found(row, 0)?);
    }
    Ok(Page::of(deliveries, limit))
}

/// Reads a delivery from the columns from `first` on; `None` if the row is not a delivery
/// record.
fn found(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<FoundDelivery>> {
    let status: String = row.get(first + 3)?;
    let (Some((event_id, endpoint)), Some(status)) = (key(row, first)?, Status::parse(&status))
    else {
        return Ok(None);
    };
    let time = |column| -> rusqlite::Result<_> {
        let time: Option<i64> = row.get(first + column)?;
        Ok(time.map(UnixMillis::new))
    };
    Ok(Some(FoundDelivery {
        event_id,
        endpoint,
        event: row.get(first + 1)?,
        webhook_url: row.get(first + 2)?,
        status,
        status_code: row.get(first + 4)?,
        retry_count: row.get(first + 5)?,
        error_message: row.get(first + 6)?,
        created_at: UnixMillis::new(row.get(first + 7)?),
        updated_at: UnixMillis::new(row.get(first + 8)?),
        last_retry_at: time(9)?,
        completed_at: time(10)?,
        next_attempt_at: time(11)?,
        source: row.get(first + 12)?,
        session: row.get(first + 13)?,
        chat: row.get(first + 14)?,
        message_id: row.get(first + 15)?,
        attempt_count: usize::try_from(row.get::<_, i64>(first + 16)?).unwrap_or_default(),
    }))
}

/// Returns a delivery with its payload and attempts.
pub(super) fn delivery(
    db: &Connection,
    id: &EventId,
    endpoint: &EndpointName,
) -> rusqlite::Result<Option<LoggedDelivery>> {
    let mut statement = db.prepare(concat!(
        "SELECT event, createdAt, attempts, timestamp, payload, sent, sentBody, ",
        found_columns!(),
        " FROM webhooklogs WHERE _id = ?"
    ))?;
    let read = |row: &Row<'_>| {
        let Some(found) = found(row, 7)? else {
            return Ok(None);
        };
        Ok(Some(LoggedDelivery {
            found,
            timestamp: row.get(3)?,
            payload: Some(row.get(4)?),
            // JSON stores every payload.
            payload_altered: Vec::new(),
            sent: results::sent(row, 5)?,
            attempts: records::read(row, id, endpoint)?.attempts,
        }))
    };
    let found = statement.query_row([record_key(id, endpoint)], read);
    Ok(found.optional()?.flatten())
}

/// Returns the endpoints of the newest records. Unreadable ones are skipped.
pub(super) fn recent(db: &Connection) -> rusqlite::Result<Vec<RecentEndpoint>> {
    let mut statement = db.prepare(
        "SELECT event, createdAt, attempts, _id, webhookUrl FROM webhooklogs \
         ORDER BY createdAt DESC LIMIT ?",
    )?;
    let mut rows = statement.query([RECENT])?;
    let mut deliveries = Vec::new();
    while let Some(row) = rows.next()? {
        let Some((id, endpoint)) = key(row, 3)? else {
            continue;
        };
        if let Ok(record) = records::read(row, &id, &endpoint) {
            deliveries.push((endpoint, row.get(4)?, record.attempts));
        }
    }
    Ok(RecentEndpoint::group(deliveries))
}

#[cfg(test)]
mod tests;
