//! Numbers of messages of all queues, for endpoints that are no longer configured.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    thread,
};

use rusqlite::Connection;
use tokio::sync::oneshot;
use wahook_queue::local::QueueCensus;

use crate::{declared, error::OpenError, open};

/// Reads the numbers on a connection and a thread of their own, so that deliveries do not
/// wait. Without an answer they can't be read.
pub(crate) fn answer(path: PathBuf, answer: oneshot::Sender<Vec<QueueCensus>>) {
    let reading = move || match open_and_read(&path) {
        Ok(census) => {
            // The receiver may be gone.
            let _ = answer.send(census);
        }
        Err(error) => tracing::warn!(%error, "queues of the data file could not be counted"),
    };
    let thread = thread::Builder::new().name("wahook-census".to_owned());
    if let Err(error) = thread.spawn(reading) {
        tracing::warn!(%error, "queues of the data file could not be counted");
    }
}

fn open_and_read(path: &Path) -> Result<Vec<QueueCensus>, OpenError> {
    let unusable = |error| OpenError::Database(path.to_owned(), error);
    read(&open::open_read_only(path)?).map_err(unusable)
}

/// Reads all queues that are declared or hold messages.
pub(crate) fn read(db: &Connection) -> rusqlite::Result<Vec<QueueCensus>> {
    let mut queues = BTreeMap::new();
    for name in declared::names(db)? {
        queues.insert(name, (0, 0));
    }
    for (name, count) in counts(db, "SELECT queue, count(*) FROM messages GROUP BY queue")? {
        queues.entry(name).or_default().0 = count;
    }
    for (name, count) in counts(db, "SELECT queue, count(*) FROM waiting GROUP BY queue")? {
        queues.entry(name).or_default().1 = count;
    }
    let mut census = Vec::with_capacity(queues.len());
    for (queue, (queued, waiting)) in queues {
        census.push(QueueCensus {
            is_declared: declared::has(db, &queue)?,
            queue,
            queued,
            waiting,
        });
    }
    Ok(census)
}

fn counts(db: &Connection, query: &str) -> rusqlite::Result<Vec<(String, u32)>> {
    let mut statement = db.prepare_cached(query)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
