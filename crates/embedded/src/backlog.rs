//! Messages of a queue when the file was opened.

use rusqlite::{Connection, OptionalExtension};
use wahook_domain::UnixMillis;

/// Amount of messages in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    pub messages: u64,
    /// Bytes of all bodies and contexts of requests.
    pub bytes: u64,
    /// Time at which the first event was accepted.
    pub oldest: Option<UnixMillis>,
}

impl Backlog {
    /// Reads the rows of the queue. SQLite takes the length of a body from the head of its row.
    pub(crate) fn read(db: &Connection, queue: &str) -> rusqlite::Result<Self> {
        let whole = |number: i64| u64::try_from(number).unwrap_or_default();
        let amounts = "SELECT count(*), ifnull(sum(length(body) + ifnull(length(tracestate), 0) \
                       + ifnull(length(baggage), 0)), 0) FROM messages WHERE queue = ?";
        let (messages, bytes) =
            db.query_row(amounts, [queue], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let oldest = "SELECT accepted_at FROM messages WHERE queue = ? ORDER BY seq LIMIT 1";
        let oldest = db.query_row(oldest, [queue], |row| row.get::<_, Option<i64>>(0));
        Ok(Self {
            messages: whole(messages),
            bytes: whole(bytes),
            oldest: oldest.optional()?.flatten().map(UnixMillis::new),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SCHEMA;

    #[test]
    fn backlog_counts_the_messages_of_its_queue_only() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        let empty = Backlog::read(&db, "wahook.spool").unwrap();
        assert_eq!(empty, Backlog::default());
        db.execute_batch(
            "INSERT INTO messages (seq, queue, accepted_at, body) VALUES \
             (1, 'other', 1, x'00'), (2, 'wahook.spool', 20, x'0000'), \
             (3, 'wahook.spool', 30, x'000000')",
        )
        .unwrap();
        db.execute_batch("UPDATE messages SET tracestate = 'v=1' WHERE seq = 3")
            .unwrap();
        let backlog = Backlog::read(&db, "wahook.spool").unwrap();
        assert_eq!((backlog.messages, backlog.bytes), (2, 8));
        assert_eq!(backlog.oldest, Some(UnixMillis::new(20)));
    }
}
