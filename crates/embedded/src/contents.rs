//! Contents of the data file, for `export`: messages are read and removed, the log is
//! only read.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, Row, params};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId, UnixMillis};
use wahook_queue::Stored;

use crate::{
    columns::{self, message_columns},
    error::OpenError,
    file_lock::FileLock,
    messages,
    messages::READ_BYTES,
    open, records, results,
};

/// Data file of a `wahook` that is not running. Holds the file's lock.
pub struct Contents {
    db: Connection,
    _lock: FileLock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageTable {
    Queued,
    /// Messages that enter their queue at a due time.
    Waiting,
}

/// Position of a message in its table. Reading continues after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(i64, i64);

impl Position {
    /// Position before the first message.
    pub const START: Self = Self(i64::MIN, i64::MIN);
}

/// Message with its position and queue.
#[derive(Debug)]
pub struct FoundMessage {
    /// Position in the table.
    pub position: Position,
    /// Current or future queue.
    pub queue: String,
    /// Due time of a waiting message.
    pub due_at: Option<UnixMillis>,
    pub message: Stored,
}

#[derive(Debug)]
pub struct LogRecord {
    pub key: String,
    /// Results by attempt; `None` if the record is unreadable.
    pub results: Option<Vec<AttemptResult>>,
}

/// Numbers of messages and records in the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Messages by queue.
    pub queues: BTreeMap<String, u64>,
    /// Waiting messages.
    pub waiting: u64,
    /// Records of the log.
    pub records: u64,
}

impl Contents {
    /// Opens and locks an existing file.
    ///
    /// # Errors
    /// If the file does not exist, is in use, or was not written by wahook.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        if !path.exists() {
            return Err(OpenError::Missing(path.to_owned()));
        }
        let opened = open::open(path)?;
        Ok(Self {
            db: opened.db,
            _lock: opened.lock,
        })
    }

    /// Counts all messages, and the records of events accepted at or after `since`.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn amounts(&self, since: UnixMillis) -> rusqlite::Result<Amounts> {
        let whole = |number: i64| u64::try_from(number).unwrap_or_default();
        let mut by_queue = self
            .db
            .prepare("SELECT queue, count(*) FROM messages GROUP BY queue")?;
        let queues = by_queue.query_map([], |row| Ok((row.get(0)?, whole(row.get(1)?))))?;
        let (waiting, records) = self.db.query_row(
            "SELECT (SELECT count(*) FROM waiting), \
             (SELECT count(*) FROM webhooklogs WHERE createdAt >= ?)",
            [since.get()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(Amounts {
            queues: queues.collect::<rusqlite::Result<_>>()?,
            waiting: whole(waiting),
            records: whole(records),
        })
    }

    /// Returns the current and future queues of all messages.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn queues(&self) -> rusqlite::Result<Vec<String>> {
        let query = "SELECT queue FROM messages UNION SELECT queue FROM waiting";
        let mut statement = self.db.prepare(query)?;
        let queues = statement.query_map([], |row| row.get(0))?;
        queues.collect()
    }

    /// Returns at most `max` messages after `position`: waiting messages by due time,
    /// queued messages by sequence number.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn next(
        &self,
        table: MessageTable,
        position: Position,
        max: usize,
    ) -> rusqlite::Result<Vec<FoundMessage>> {
        let mut statement = self.db.prepare_cached(match table {
            MessageTable::Queued => {
                concat!(
                    "SELECT seq, seq, queue, ",
                    message_columns!(),
                    " FROM messages WHERE seq > ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
                )
            }
            MessageTable::Waiting => {
                concat!(
                    "SELECT due_at, id, queue, ",
                    message_columns!(),
                    " FROM waiting WHERE (due_at, id) > (?1, ?2) ORDER BY due_at, id LIMIT ?3"
                )
            }
        })?;
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![position.0, position.1, limit])?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()?
            && bytes < READ_BYTES
        {
            let next = read(row, table)?;
            bytes += next.message.payload.len();
            found.push(next);
        }
        Ok(found)
    }

    /// Removes messages: all of them or, after an error, none.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn remove(&self, table: MessageTable, positions: &[Position]) -> rusqlite::Result<()> {
        let transaction = self.db.unchecked_transaction()?;
        for position in positions {
            match table {
                MessageTable::Queued => messages::delete(&transaction, position.1)?,
                MessageTable::Waiting => messages::delete_waiting(&transaction, position.1)?,
            }
        }
        transaction.commit()
    }

    /// Returns the record of an event and endpoint.
    ///
    /// # Errors
    /// If the file or the record can't be read.
    pub fn find(
        &self,
        id: &EventId,
        endpoint: &EndpointName,
    ) -> rusqlite::Result<Option<DeliveryRecord>> {
        records::find(&self.db, id, endpoint)
    }

    /// Returns at most `max` records after the key `after`, in key order, of events
    /// accepted at or after `since`.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn records(
        &self,
        after: &str,
        since: UnixMillis,
        max: usize,
    ) -> rusqlite::Result<Vec<LogRecord>> {
        let mut statement = self.db.prepare_cached(
            "SELECT event, createdAt, attempts, _id, eventId, endpoint, payload, timestamp, \
             source, session, chat, messageId, sent, sentBody \
             FROM webhooklogs WHERE _id > ? AND createdAt >= ? ORDER BY _id LIMIT ?",
        )?;
        let limit = i64::try_from(max).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![after, since.get(), limit])?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()?
            && bytes < READ_BYTES
        {
            let payload: String = row.get(6)?;
            bytes += payload.len() + results::sent_bytes(row, 13)?;
            found.push(LogRecord {
                key: row.get(3)?,
                results: results::results(row, &payload).ok(),
            });
        }
        Ok(found)
    }
}

fn read(row: &Row<'_>, table: MessageTable) -> rusqlite::Result<FoundMessage> {
    let (first, second): (i64, i64) = (row.get(0)?, row.get(1)?);
    Ok(FoundMessage {
        position: Position(first, second),
        queue: row.get(2)?,
        due_at: (table == MessageTable::Waiting).then_some(UnixMillis::new(first)),
        message: columns::read(row, 3)?,
    })
}
