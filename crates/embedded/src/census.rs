//! Numbers of messages of all queues, and the age of the oldest, for endpoints.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    thread,
};

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::oneshot;
use wahook_domain::UnixMillis;
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
    for queue in declared::names(db)? {
        census_of(&mut queues, queue);
    }
    let queued = "SELECT queue, count(*), NULL FROM messages GROUP BY queue";
    for (queue, count, _) in counts(db, queued)? {
        census_of(&mut queues, queue).queued = count;
    }
    let waiting = "SELECT queue, count(*), min(accepted_at) FROM waiting GROUP BY queue";
    for (queue, count, oldest) in counts(db, waiting)? {
        let census = census_of(&mut queues, queue);
        (census.waiting, census.oldest) = (count, oldest);
    }
    let mut queues: Vec<_> = queues.into_values().collect();
    for census in &mut queues {
        census.is_declared = declared::has(db, &census.queue)?;
        let first = first(db, &census.queue)?;
        census.oldest = [census.oldest, first].into_iter().flatten().min();
    }
    Ok(queues)
}

fn census_of(queues: &mut BTreeMap<String, QueueCensus>, queue: String) -> &mut QueueCensus {
    queues.entry(queue.clone()).or_insert_with(|| QueueCensus {
        queue,
        ..QueueCensus::default()
    })
}

/// Returns the acceptance of the first event of a queue, from the index on queues: the minimum
/// of all would read every message.
fn first(db: &Connection, queue: &str) -> rusqlite::Result<Option<UnixMillis>> {
    let query = "SELECT accepted_at FROM messages WHERE queue = ? ORDER BY seq LIMIT 1";
    let mut statement = db.prepare_cached(query)?;
    let first = statement.query_row([queue], |row| row.get::<_, Option<i64>>(0));
    Ok(first.optional()?.flatten().map(UnixMillis::new))
}

fn counts(
    db: &Connection,
    query: &str,
) -> rusqlite::Result<Vec<(String, u32, Option<UnixMillis>)>> {
    let mut statement = db.prepare_cached(query)?;
    let rows = statement.query_map([], |row| {
        let oldest: Option<i64> = row.get(2)?;
        Ok((row.get(0)?, row.get(1)?, oldest.map(UnixMillis::new)))
    })?;
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ADDITIONS, SCHEMA};

    #[test]
    fn census_has_the_oldest_event_of_queue_and_waiting_retries() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        db.execute_batch(ADDITIONS).unwrap();
        db.execute_batch(
            "INSERT INTO messages (seq, queue, accepted_at, body) VALUES \
             (1, 'a', 30, x'00'), (2, 'a', 40, x'00'), (3, 'b', 50, x'00');
             INSERT INTO waiting (queue, due_at, accepted_at, body) VALUES \
             ('a', 99, 20, x'00'), ('a', 99, 10, x'00'), ('c', 99, NULL, x'00')",
        )
        .unwrap();
        let census = read(&db).unwrap();
        let found: Vec<_> = census
            .iter()
            .map(|one| (one.queue.as_str(), one.queued, one.waiting, one.oldest))
            .collect();
        let time = |millis| Some(UnixMillis::new(millis));
        let expected = [
            ("a", 2, 2, time(10)),
            ("b", 1, 0, time(50)),
            ("c", 0, 1, None),
        ];
        assert_eq!(found, expected);
    }
}
