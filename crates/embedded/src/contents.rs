//! What is in the file, for whoever takes it elsewhere: what is queued leaves it piece by
//! piece, the log is read.

use std::{collections::BTreeMap, fs::File, path::Path};

use bytes::Bytes;
use rusqlite::{Connection, Row, params};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId, UnixMillis};
use wahook_queue::{Stored, stored::Unreadable};

use crate::{OpenError, messages, messages::READ_BYTES, open, records};

/// The file of a `wahook` that does not run, kept from others for as long as this is held.
pub struct Contents {
    db: Connection,
    _lock: File,
}

/// Where messages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// In their queues.
    Queues,
    /// Until their time comes, and then in their queues.
    Waiting,
}

/// A place on a shelf: what was found before does not come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(i64, i64);

impl Place {
    /// Before everything.
    pub const START: Self = Self(i64::MIN, i64::MIN);
}

/// A message, and where it belongs.
#[derive(Debug)]
pub struct Found {
    /// Where it is.
    pub place: Place,
    /// Which queue it is in, or will be.
    pub queue: String,
    /// When it will be.
    pub due_at: Option<UnixMillis>,
    /// The message.
    pub message: Result<Stored, Unreadable>,
}

/// A record of the log.
#[derive(Debug)]
pub struct Logged {
    /// Its key.
    pub key: String,
    /// What was written into it, attempt by attempt; `None` where it can't be read.
    pub results: Option<Vec<AttemptResult>>,
}

/// How much there is.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Messages by queue.
    pub queues: BTreeMap<String, u64>,
    /// Messages that wait.
    pub waiting: u64,
    /// Records of the log.
    pub records: u64,
}

impl Contents {
    /// Opens a file that is there and that nobody has.
    ///
    /// # Errors
    /// When there is none, a process has it, or it is none of ours.
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

    /// Counts. Of the log, the records of events that were accepted at `since` or later.
    ///
    /// # Errors
    /// When the file can't be read.
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

    /// All queues that a message is in, or will be.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn queues(&self) -> rusqlite::Result<Vec<String>> {
        let question = "SELECT queue FROM messages UNION SELECT queue FROM waiting";
        let mut statement = self.db.prepare(question)?;
        let queues = statement.query_map([], |row| row.get(0))?;
        queues.collect()
    }

    /// The next messages after `place`, `most` at the most: those that wait in the order of
    /// their times, all others in the order in which they came.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn next(&self, shelf: Shelf, place: Place, most: usize) -> rusqlite::Result<Vec<Found>> {
        let mut statement = self.db.prepare_cached(match shelf {
            Shelf::Queues => {
                "SELECT seq, seq, queue, properties, body FROM messages \
                 WHERE seq > ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
            }
            Shelf::Waiting => {
                "SELECT due_at, id, queue, properties, body FROM waiting \
                 WHERE (due_at, id) > (?1, ?2) ORDER BY due_at, id LIMIT ?3"
            }
        })?;
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![place.0, place.1, limit])?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()?
            && bytes < READ_BYTES
        {
            let next = read(row, shelf)?;
            bytes += next.message.as_ref().map_or(0, |m| m.payload().len());
            found.push(next);
        }
        Ok(found)
    }

    /// Ends messages, all of them or, on an error, none.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn remove(&self, shelf: Shelf, places: &[Place]) -> rusqlite::Result<()> {
        let transaction = self.db.unchecked_transaction()?;
        for place in places {
            match shelf {
                Shelf::Queues => messages::delete(&transaction, place.1)?,
                Shelf::Waiting => messages::delete_waiting(&transaction, place.1)?,
            }
        }
        transaction.commit()
    }

    /// The record of one event at one endpoint.
    ///
    /// # Errors
    /// When the file, or the record, can't be read.
    pub fn find(
        &self,
        id: &EventId,
        endpoint: &EndpointName,
    ) -> rusqlite::Result<Option<DeliveryRecord>> {
        records::find(&self.db, id, endpoint)
    }

    /// The next records after the one with the key `after`, in the order of their keys, of
    /// events that were accepted at `since` or later.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn records(
        &self,
        after: &str,
        since: UnixMillis,
        most: usize,
    ) -> rusqlite::Result<Vec<Logged>> {
        let mut statement = self.db.prepare_cached(
            "SELECT event, createdAt, attempts, _id, eventId, endpoint, payload, timestamp \
             FROM webhooklogs WHERE _id > ? AND createdAt >= ? ORDER BY _id LIMIT ?",
        )?;
        let limit = i64::try_from(most).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![after, since.get(), limit])?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()?
            && bytes < READ_BYTES
        {
            let payload: String = row.get(6)?;
            bytes += payload.len();
            found.push(Logged {
                key: row.get(3)?,
                results: records::results(row, &payload).ok(),
            });
        }
        Ok(found)
    }
}

fn read(row: &Row<'_>, shelf: Shelf) -> rusqlite::Result<Found> {
    let (first, second): (i64, i64) = (row.get(0)?, row.get(1)?);
    let (properties, body): (String, Vec<u8>) = (row.get(3)?, row.get(4)?);
    Ok(Found {
        place: Place(first, second),
        queue: row.get(2)?,
        due_at: (shelf == Shelf::Waiting).then_some(UnixMillis::new(first)),
        message: Stored::read(&properties, Bytes::from(body)),
    })
}
