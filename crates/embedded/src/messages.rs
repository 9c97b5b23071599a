//! Messages in their tables.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use wahook_domain::UnixMillis;
use wahook_queue::Stored;

/// Bytes that are read at once, so that large bodies don't fill the memory; one message is
/// always read.
pub(crate) const READ_BYTES: usize = 8 << 20;

/// A message that rests in a queue.
pub(crate) struct Resting {
    pub(crate) seq: i64,
    pub(crate) message: Stored,
    /// How often it was handed out and came back, or may have been before a crash.
    pub(crate) deliveries: i64,
}

/// Puts a message at the end of a queue.
pub(crate) fn insert(
    db: &Connection,
    seq: i64,
    queue: &str,
    message: &Stored,
) -> rusqlite::Result<()> {
    let into = "INSERT INTO messages (seq, queue, event_id, event, properties, body) VALUES (?, ?, ?, ?, ?, ?)";
    put(db, into, seq, queue, message)
}

/// Lets a message wait for its time.
pub(crate) fn insert_waiting(
    db: &Connection,
    due_at: UnixMillis,
    queue: &str,
    message: &Stored,
) -> rusqlite::Result<()> {
    let into = "INSERT INTO waiting (due_at, queue, event_id, event, properties, body) VALUES (?, ?, ?, ?, ?, ?)";
    put(db, into, due_at.get(), queue, message)
}

/// `place` is what the messages of the table are in order of.
fn put(
    db: &Connection,
    into: &str,
    place: i64,
    queue: &str,
    message: &Stored,
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(into)?;
    statement.execute(params![
        place,
        queue,
        message.id(),
        message.event(),
        properties(message)?,
        &**message.payload()
    ])?;
    Ok(())
}

/// Ends a message.
pub(crate) fn delete(db: &Connection, seq: i64) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("DELETE FROM messages WHERE seq = ?")?;
    statement.execute([seq])?;
    Ok(())
}

/// Reads one message.
pub(crate) fn find(db: &Connection, seq: i64) -> rusqlite::Result<Option<Resting>> {
    let mut statement =
        db.prepare_cached("SELECT seq, deliveries, properties, body FROM messages WHERE seq = ?")?;
    statement.query_row([seq], resting).optional()
}

/// Counts that a message was handed out in vain; says how often that was so.
pub(crate) fn count_delivery(db: &Connection, seq: i64) -> rusqlite::Result<i64> {
    let mut statement = db.prepare_cached(
        "UPDATE messages SET deliveries = deliveries + 1 WHERE seq = ? RETURNING deliveries",
    )?;
    statement.query_row([seq], |row| row.get(0))
}

/// How many messages a queue has, handed out or not.
pub(crate) fn count(db: &Connection, queue: &str) -> rusqlite::Result<u32> {
    let mut statement = db.prepare_cached("SELECT count(*) FROM messages WHERE queue = ?")?;
    statement.query_row([queue], |row| row.get(0))
}

/// The next messages of a queue after `cursor`, in order, and whether those are all.
pub(crate) fn after(
    db: &Connection,
    queue: &str,
    cursor: i64,
    most: usize,
) -> rusqlite::Result<(Vec<Resting>, bool)> {
    let mut statement = db.prepare_cached(
        "SELECT seq, deliveries, properties, body FROM messages \
         WHERE queue = ? AND seq > ? ORDER BY seq LIMIT ?",
    )?;
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![queue, cursor, limit])?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let next = resting(row)?;
        bytes += next.message.payload().len();
        found.push(next);
        if bytes >= READ_BYTES {
            return Ok((found, false));
        }
    }
    let are_all = found.len() < most;
    Ok((found, are_all))
}

/// When the first of those that wait is due.
pub(crate) fn next_due(db: &Connection) -> rusqlite::Result<Option<UnixMillis>> {
    let mut statement = db.prepare_cached("SELECT min(due_at) FROM waiting")?;
    let due: Option<i64> = statement.query_row([], |row| row.get(0))?;
    Ok(due.map(UnixMillis::new))
}

/// A message whose time has come: its number among those that wait, and its queue.
pub(crate) struct Due {
    pub(crate) id: i64,
    pub(crate) queue: String,
    pub(crate) message: Stored,
}

/// Those whose time has come, `most` at the most, the longest due first.
pub(crate) fn due(db: &Connection, now: UnixMillis, most: usize) -> rusqlite::Result<Vec<Due>> {
    let mut statement = db.prepare_cached(
        "SELECT id, queue, properties, body FROM waiting \
         WHERE due_at <= ? ORDER BY due_at, id LIMIT ?",
    )?;
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![now.get(), limit])?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let message = stored(row, 2)?;
        bytes += message.payload().len();
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

/// Waits no longer.
pub(crate) fn delete_waiting(db: &Connection, id: i64) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("DELETE FROM waiting WHERE id = ?")?;
    statement.execute([id])?;
    Ok(())
}

/// Lets all that wait wait longer, or less long, after the clock was set.
pub(crate) fn shift_waiting(db: &Connection, millis: i64) -> rusqlite::Result<usize> {
    db.execute("UPDATE waiting SET due_at = due_at + ?", [millis])
}

fn resting(row: &Row<'_>) -> rusqlite::Result<Resting> {
    Ok(Resting {
        seq: row.get(0)?,
        deliveries: row.get(1)?,
        message: stored(row, 2)?,
    })
}

/// From the column of the properties, which the body follows.
fn stored(row: &Row<'_>, column: usize) -> rusqlite::Result<Stored> {
    let properties: String = row.get(column)?;
    let body: Vec<u8> = row.get(column + 1)?;
    Stored::read(&properties, Bytes::from(body)).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

fn properties(message: &Stored) -> rusqlite::Result<String> {
    message
        .properties()
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
