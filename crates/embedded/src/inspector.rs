//! Reads the queues next to a running process, for the command `reconcile`.
//!
//! A message stays in the file until it is acked, also while a consumer holds it. So all
//! messages are visible, and reading takes none.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use wahook_queue::{
    Depth, StoreUnreadable, Stored, StoredMessages, StoredQueues, topology::is_wait_queue,
};

use crate::{declared, error::OpenError, messages, open};

/// Maximum number of messages per read.
const READ_BATCH: usize = 512;

/// Queues of a data file. Each method opens the file read-only, and blocks the thread.
#[derive(Debug, Clone)]
pub struct EmbeddedInspector {
    path: PathBuf,
}

impl EmbeddedInspector {
    /// Checks that the file can be read; migrates an older one, unless a process has it open.
    ///
    /// # Errors
    /// If the file does not exist, was not written by wahook, or is in use by an older wahook.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        open::open_shared(path)?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    fn connect(&self) -> Result<Connection, StoreUnreadable> {
        open::open_read_only(&self.path).map_err(|error| StoreUnreadable(error.to_string()))
    }
}

impl StoredQueues for EmbeddedInspector {
    fn depth(&self, queue: &str) -> Result<Option<Depth>, StoreUnreadable> {
        depth(&self.connect()?, queue).map_err(unreadable)
    }

    fn messages(&self, queue: &str) -> Result<StoredMessages, StoreUnreadable> {
        let db = self.connect()?;
        // One transaction, so that a message that moves is read once.
        db.execute_batch("BEGIN").map_err(unreadable)?;
        Ok(Box::new(Reading {
            db,
            queue: queue.to_owned(),
            table: Table::Waiting,
            cursor: i64::MIN,
            read: VecDeque::new(),
        }))
    }
}

/// Counts all messages of a queue. Wait queues have none: a waiting message is counted with
/// the queue that it enters.
fn depth(db: &Connection, queue: &str) -> rusqlite::Result<Option<Depth>> {
    if is_wait_queue(queue) || !declared::has(db, queue)? {
        return Ok(None);
    }
    let messages = messages::count(db, queue)?.saturating_add(messages::count_waiting(db, queue)?);
    Ok(Some(Depth {
        messages,
        consumers: 0,
    }))
}

/// Messages of a queue, as they were when the transaction began.
struct Reading {
    db: Connection,
    queue: String,
    table: Table,
    cursor: i64,
    read: VecDeque<Stored>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Waiting,
    Queued,
}

impl Iterator for Reading {
    type Item = Result<Stored, StoreUnreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.read.is_empty()
            && let Err(error) = self.read_batch()
        {
            return Some(Err(unreadable(error)));
        }
        self.read.pop_front().map(Ok)
    }
}

impl Reading {
    /// Reads the next messages: first the waiting, then the queued ones.
    fn read_batch(&mut self) -> rusqlite::Result<()> {
        if self.table == Table::Waiting {
            let found = messages::waiting_after(&self.db, &self.queue, self.cursor, READ_BATCH)?;
            if let Some((last, _)) = found.last() {
                self.cursor = *last;
                self.read
                    .extend(found.into_iter().map(|(_, message)| message));
                return Ok(());
            }
            (self.table, self.cursor) = (Table::Queued, i64::MIN);
        }
        let (found, _) = messages::after(&self.db, &self.queue, self.cursor, READ_BATCH)?;
        if let Some(last) = found.last() {
            self.cursor = last.seq;
        }
        self.read.extend(found.into_iter().map(|row| row.message));
        Ok(())
    }
}

fn unreadable(error: rusqlite::Error) -> StoreUnreadable {
    StoreUnreadable(error.to_string())
}
