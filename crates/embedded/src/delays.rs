//! Delays of waiting messages, stored next to their due times. A clock that is set back while
//! no process runs would otherwise make them late by as much.

use rusqlite::Connection;
use wahook_domain::UnixMillis;

/// Adds the column to a file of an earlier version.
pub(crate) fn add_column(db: &Connection) -> rusqlite::Result<()> {
    let exists = "SELECT 1 FROM pragma_table_info('waiting') WHERE name = 'delay_ms'";
    if db.prepare(exists)?.exists([])? {
        return Ok(());
    }
    db.execute_batch("ALTER TABLE waiting ADD COLUMN delay_ms INTEGER")
}

/// Makes each message due within its delay from now. Returns the number of messages that
/// were due later.
pub(crate) fn clamp(db: &Connection, now: UnixMillis) -> rusqlite::Result<usize> {
    let clamped = "UPDATE waiting SET due_at = ?1 + delay_ms WHERE due_at > ?1 + delay_ms";
    db.execute(clamped, [now.get()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{messages, schema::SCHEMA};
    use bytes::Bytes;
    use wahook_queue::{MessageMetadata, Stored};

    #[test]
    fn no_message_waits_longer_than_its_delay() {
        let db = Connection::open_in_memory().unwrap();
        let earlier = SCHEMA.replace("delay_ms INTEGER,", "");
        assert_ne!(earlier, SCHEMA);
        db.execute_batch(&earlier).unwrap();
        add_column(&db).unwrap();
        add_column(&db).unwrap();
        let hour = 3_600_000;
        for (due_at, delay) in [(hour + 5_000, Some(5_000)), (9_000, Some(9_000)), (7, None)] {
            let message = Stored {
                metadata: MessageMetadata::default(),
                payload: Bytes::new(),
            };
            messages::insert_waiting(&db, UnixMillis::new(due_at), delay, "q", &message).unwrap();
        }
        // The clock is set back by an hour.
        assert_eq!(clamp(&db, UnixMillis::new(1_000)).unwrap(), 1);
        let mut due = db
            .prepare("SELECT due_at FROM waiting ORDER BY id")
            .unwrap();
        let due = due.query_map([], |row| row.get(0)).unwrap();
        let due: Vec<i64> = due.map(Result::unwrap).collect();
        assert_eq!(due, [6_000, 9_000, 7]);
    }
}
