//! Destination of the events in a data file. A misspelt setting must not deliver events for a
//! webhook to the test receiver, which accepts and forgets them.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use wahook_queue::topology::endpoint_of;

use crate::error::OpenError;

const TABLE: &str = "
    CREATE TABLE IF NOT EXISTS destination (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        test_receiver INTEGER NOT NULL,
        urls TEXT NOT NULL
    );";

/// Destination of all deliveries of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// The test receiver of this process, at this URL.
    TestReceiver(String),
    /// Webhooks with these URLs, as the log shows them.
    Webhooks(Vec<String>),
}

/// Checks that the events in the file are meant for the destination, and stores it.
pub(crate) fn enter(
    db: &Connection,
    path: &Path,
    destination: &Destination,
) -> Result<(), OpenError> {
    let unusable = |error| OpenError::Database(path.to_owned(), error);
    db.execute_batch(TABLE).map_err(unusable)?;
    if let Destination::TestReceiver(url) = destination {
        let events = undelivered(db).map_err(unusable)?;
        let other = other_than(db, url).map_err(unusable)?;
        if let (1.., Some(urls)) = (events, other) {
            let path = path.to_owned();
            return Err(OpenError::OtherDestination { path, events, urls });
        }
    }
    store(db, destination).map_err(unusable)
}

/// Counts the events that are queued or waiting for an endpoint.
fn undelivered(db: &Connection) -> rusqlite::Result<u64> {
    let mut statement = db.prepare(
        "SELECT queue, count(*) FROM messages GROUP BY queue \
         UNION ALL SELECT queue, count(*) FROM waiting GROUP BY queue",
    )?;
    let mut rows = statement.query([])?;
    let mut events = 0;
    while let Some(row) = rows.next()? {
        let (queue, count): (String, i64) = (row.get(0)?, row.get(1)?);
        if endpoint_of(&queue).is_some() {
            events += u64::try_from(count).unwrap_or_default();
        }
    }
    Ok(events)
}

/// Returns the webhooks of the previous process, unless it used a test receiver too. Files
/// of earlier versions do not store it: there, the last record of the log counts.
fn other_than(db: &Connection, test_receiver: &str) -> rusqlite::Result<Option<String>> {
    let stored = "SELECT test_receiver, urls FROM destination";
    let stored: Option<(bool, String)> = db
        .query_row(stored, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((is_test_receiver, urls)) = stored {
        return Ok((!is_test_receiver).then_some(urls));
    }
    let last = "SELECT webhookUrl FROM webhooklogs ORDER BY createdAt DESC LIMIT 1";
    let last: Option<String> = db.query_row(last, [], |row| row.get(0)).optional()?;
    Ok(match last {
        Some(url) if url == test_receiver => None,
        Some(url) => Some(url),
        None => Some("another webhook".to_owned()),
    })
}

fn store(db: &Connection, destination: &Destination) -> rusqlite::Result<()> {
    let (is_test_receiver, urls) = match destination {
        Destination::TestReceiver(url) => (true, url.clone()),
        Destination::Webhooks(urls) => (false, urls.join(", ")),
    };
    let upsert = "INSERT INTO destination (id, test_receiver, urls) VALUES (1, ?, ?) \
                  ON CONFLICT (id) DO UPDATE \
                  SET test_receiver = excluded.test_receiver, urls = excluded.urls";
    db.execute(upsert, (is_test_receiver, urls)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SCHEMA;

    const URL: &str = "http://127.0.0.1:8090/webhook";
    const QUEUED: &str = "INSERT INTO messages (queue, body) VALUES ('wahook.deliver.crm', x'')";
    const WAITING: &str =
        "INSERT INTO waiting (due_at, queue, body) VALUES (1, 'wahook.deliver.crm', x'')";
    const DEAD: &str = "INSERT INTO messages (queue, body) VALUES ('wahook.dead', x'')";

    fn file(statement: &str) -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        db.execute_batch(statement).unwrap();
        db
    }

    fn enter(db: &Connection, destination: &Destination) -> Result<(), String> {
        let entered = super::enter(db, Path::new("wahook.db"), destination);
        entered.map_err(|error| error.to_string())
    }

    #[test]
    fn test_receiver_never_gets_events_of_a_webhook() {
        let webhooks = Destination::Webhooks(vec!["https://example.com/hook".to_owned()]);
        let test = Destination::TestReceiver(URL.to_owned());
        for events in [QUEUED, WAITING] {
            let db = file(events);
            enter(&db, &webhooks).unwrap();
            let refused = enter(&db, &test).unwrap_err();
            for expected in ["1 ", "https://example.com/hook", "WEBHOOK_URL"] {
                assert!(refused.contains(expected), "{refused}");
            }
            // The refusal is not forgotten.
            enter(&db, &test).unwrap_err();
            enter(&db, &webhooks).unwrap();
            db.execute_batch("DELETE FROM messages; DELETE FROM waiting")
                .unwrap();
            enter(&db, &test).unwrap();
            db.execute_batch(events).unwrap();
            enter(&db, &test).unwrap();
        }
        let db = file(DEAD);
        enter(&db, &webhooks).unwrap();
        enter(&db, &test).unwrap();
    }

    #[test]
    fn file_of_an_earlier_version_is_judged_by_the_last_record() {
        let test = Destination::TestReceiver(URL.to_owned());
        let db = file(QUEUED);
        assert!(enter(&db, &test).unwrap_err().contains("another webhook"));
        let record = |url: &str, at: i64| {
            let insert = format!(
                "INSERT INTO webhooklogs VALUES ('{at}', 'call', '{{}}', '{url}', 'success', 200, \
                 0, NULL, {at}, {at}, NULL, {at}, NULL, 'a', 'default', '[]', '', \
                 NULL, NULL, NULL, NULL, NULL, NULL)"
            );
            db.execute_batch(&insert).unwrap();
        };
        record("https://example.com/hook", 1);
        assert!(enter(&db, &test).unwrap_err().contains("example.com"));
        record(URL, 2);
        enter(&db, &test).unwrap();
    }
}
