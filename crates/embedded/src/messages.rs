//! Queries on the tables of queued and waiting messages.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wahook_domain::UnixMillis;
use wahook_queue::Stored;

use crate::columns::{self, message_columns};

/// Maximum bytes per read, to bound memory with large bodies. The first message is read
/// in any case.
pub(crate) const READ_BYTES: usize = 8 << 20;

/// Row of a queued message.
pub(crate) struct StoredRow {
    pub(crate) seq: i64,
    pub(crate) message: Stored,
    /// Deliveries that ended in a requeue or a crash.
    pub(crate) deliveries: i64,
}

/// Appends a message to a queue.
pub(crate) fn insert(
    db: &Connection,
    seq: i64,
    queue: &str,
    message: &Stored,
) -> rusqlite::Result<()> {
    let into = concat!(
        "INSERT INTO messages (seq, queue, ",
        message_columns!(),
        ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    );
    columns::insert(db, into, seq, queue, message)
}

/// Stores a message that enters its queue at `due_at`, which is `delay` milliseconds from
/// now, if it has a delay.
pub(crate) fn insert_waiting(
    db: &Connection,
    due_at: UnixMillis,
    delay: Option<i64>,
    queue: &str,
    message: &Stored,
) -> rusqlite::Result<()> {
    let into = concat!(
        "INSERT INTO waiting (due_at, queue, ",
        message_columns!(),
        ", delay_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    );
    columns::insert_delayed(db, into, due_at.get(), delay, queue, message)
}

pub(crate) fn delete(db: &Connection, seq: i64) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("DELETE FROM messages WHERE seq = ?")?;
    statement.execute([seq])?;
    Ok(())
}

pub(crate) fn find(db: &Connection, seq: i64) -> rusqlite::Result<Option<StoredRow>> {
    let mut statement = db.prepare_cached(concat!(
        "SELECT seq, deliveries, ",
        message_columns!(),
        " FROM messages WHERE seq = ?"
    ))?;
    statement.query_row([seq], stored_row).optional()
}

/// Counts a failed delivery of a message and returns their number; `None` if the message is
/// gone.
pub(crate) fn count_delivery(db: &Connection, seq: i64) -> rusqlite::Result<Option<i64>> {
    let mut statement = db.prepare_cached(
        "UPDATE messages SET deliveries = deliveries + 1 WHERE seq = ? RETURNING deliveries",
    )?;
    statement.query_row([seq], |row| row.get(0)).optional()
}

/// Sets the number of failed deliveries of a message.
pub(crate) fn set_deliveries(db: &Connection, seq: i64, deliveries: i64) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("UPDATE messages SET deliveries = ? WHERE seq = ?")?;
    statement.execute([deliveries, seq]).map(drop)
}

/// Returns the number of messages in a queue, leased ones included.
pub(crate) fn count(db: &Connection, queue: &str) -> rusqlite::Result<u32> {
    let mut statement = db.prepare_cached("SELECT count(*) FROM messages WHERE queue = ?")?;
    statement.query_row([queue], |row| row.get(0))
}

/// Returns the next messages of a queue after `cursor`, in order, and true if there are no
/// more.
pub(crate) fn after(
    db: &Connection,
    queue: &str,
    cursor: i64,
    max: usize,
) -> rusqlite::Result<(Vec<StoredRow>, bool)> {
    let mut statement = db.prepare_cached(concat!(
        "SELECT seq, deliveries, ",
        message_columns!(),
        " FROM messages WHERE queue = ? AND seq > ? ORDER BY seq LIMIT ?"
    ))?;
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![queue, cursor, limit])?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let next = stored_row(row)?;
        bytes += next.message.payload.len();
        found.push(next);
        if bytes >= READ_BYTES {
            return Ok((found, false));
        }
    }
    let are_all = found.len() < max;
    Ok((found, are_all))
}

/// Returns the earliest due time of the waiting messages.
pub(crate) fn next_due(db: &Connection) -> rusqlite::Result<Option<UnixMillis>> {
    let mut statement = db.prepare_cached("SELECT min(due_at) FROM waiting")?;
    let due: Option<i64> = statement.query_row([], |row| row.get(0))?;
    Ok(due.map(UnixMillis::new))
}

/// Due message, with its id among the waiting messages.
pub(crate) struct Due {
    pub(crate) id: i64,
    pub(crate) queue: String,
    pub(crate) message: Stored,
}

/// Returns at most `max` due messages, earliest first.
pub(crate) fn due(db: &Connection, now: UnixMillis, max: usize) -> rusqlite::Result<Vec<Due>> {
    let mut statement = db.prepare_cached(concat!(
        "SELECT id, queue, ",
        message_columns!(),
        " FROM waiting WHERE due_at <= ? ORDER BY due_at, id LIMIT ?"
    ))?;
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![now.get(), limit])?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let message = columns::read(row, 2)?;
        bytes += message.payload.len();
        found.push(Due {
            id: row.get(0)?,
            queue: row.get(1)?,
            message,
        });
        if bytes >= READ_BYTES {
            break;
        }
    }
    Ok(found)
}

/// Returns the number of messages that wait to enter a queue.
pub(crate) fn count_waiting(db: &Connection, queue: &str) -> rusqlite::Result<u32> {
    let mut statement = db.prepare_cached("SELECT count(*) FROM waiting WHERE queue = ?")?;
    statement.query_row([queue], |row| row.get(0))
}

/// Returns the next messages that wait to enter a queue, each with its id, after the id
/// `cursor`; none after the last one.
pub(crate) fn waiting_after(
    db: &Connection,
    queue: &str,
    cursor: i64,
    max: usize,
) -> rusqlite::Result<Vec<(i64, Stored)>> {
    let mut statement = db.prepare_cached(concat!(
        "SELECT id, ",
        message_columns!(),
        " FROM waiting WHERE queue = ? AND id > ? ORDER BY id LIMIT ?"
    ))?;
    let limit = i64::try_from(max).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![queue, cursor, limit])?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()?
        && bytes < READ_BYTES
    {
        let message = columns::read(row, 1)?;
        bytes += message.payload.len();
        found.push((row.get(0)?, message));
    }
    Ok(found)
}

pub(crate) fn delete_waiting(db: &Connection, id: i64) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("DELETE FROM waiting WHERE id = ?")?;
    statement.execute([id])?;
    Ok(())
}

/// Shifts the due times of all waiting messages, after the clock was set. Returns their
/// number.
pub(crate) fn shift_waiting(db: &Connection, millis: i64) -> rusqlite::Result<usize> {
    db.execute("UPDATE waiting SET due_at = due_at + ?", [millis])
}

fn stored_row(row: &Row<'_>) -> rusqlite::Result<StoredRow> {
    Ok(StoredRow {
        seq: row.get(0)?,
        deliveries: row.get(1)?,
        message: columns::read(row, 2)?,
    })
}
