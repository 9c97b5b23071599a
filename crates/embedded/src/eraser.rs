//! Erasure of a person's data in the table `webhooklogs`.

use std::path::Path;

use rusqlite::{Connection, ToSql, params_from_iter};
use wahook_delivery_log::{ChatRecords, LogEraser, LogFuture};
use wahook_domain::redaction::erased_payload;

use crate::{error::OpenError, shared_connection::SharedConnection};

/// Records in one transaction, so that other writers do not wait long.
const BATCH: usize = 500;

/// Bytes of erased values are overwritten in the file, and not only released.
const SETTINGS: &str = "PRAGMA secure_delete = ON;";

/// Eraser of records, next to the process that has the file open.
#[derive(Clone)]
pub struct EmbeddedEraser {
    db: SharedConnection,
}

impl EmbeddedEraser {
    /// Opens the file.
    ///
    /// # Errors
    /// If the file does not exist, was not written by wahook, or is in use by an older wahook.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let db = SharedConnection::open(path)?;
        Ok(Self { db })
    }
}

impl LogEraser for EmbeddedEraser {
    fn count<'a>(&'a self, chats: &'a [String]) -> LogFuture<'a, ChatRecords> {
        let chats = chats.to_vec();
        self.db.run(move |db| count(db, &chats))
    }

    fn erase<'a>(&'a self, chats: &'a [String]) -> LogFuture<'a, u64> {
        let chats = chats.to_vec();
        self.db.run(move |db| erase(db, &chats))
    }
}

fn count(db: &Connection, chats: &[String]) -> rusqlite::Result<ChatRecords> {
    let listed = places(chats);
    let query = format!(
        "SELECT count(*), count(*) FILTER (WHERE status = 'retrying') FROM webhooklogs \
         WHERE chat IN ({listed})"
    );
    db.query_row(&query, params_from_iter(chats), |row| {
        let number = |column| -> rusqlite::Result<u64> {
            let number: i64 = row.get(column)?;
            Ok(u64::try_from(number).unwrap_or_default())
        };
        Ok(ChatRecords {
            records: number(0)?,
            retrying: number(1)?,
        })
    })
}

fn erase(db: &Connection, chats: &[String]) -> rusqlite::Result<u64> {
    db.execute_batch(SETTINGS)?;
    let listed = places(chats);
    let update = format!(
        "UPDATE webhooklogs SET payload = ?, chat = NULL, messageId = NULL, attempts = \
         (SELECT json_group_array(json_remove(value, '$.response')) FROM json_each(attempts)) \
         WHERE rowid IN (SELECT rowid FROM webhooklogs WHERE chat IN ({listed}) LIMIT {BATCH})"
    );
    let payload = erased_payload();
    let first: [&dyn ToSql; 1] = [&payload];
    let chats = chats.iter().map(|chat| -> &dyn ToSql { chat });
    let erased = db.execute(&update, params_from_iter(first.into_iter().chain(chats)))?;
    Ok(u64::try_from(erased).unwrap_or(u64::MAX))
}

/// Returns the places of values in a list.
fn places(values: &[String]) -> String {
    vec!["?"; values.len()].join(", ")
}
