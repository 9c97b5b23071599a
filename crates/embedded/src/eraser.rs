//! Erasure of a person's data in the table `webhooklogs`.

use std::path::Path;

use rusqlite::{Connection, params_from_iter};
use wahook_delivery_log::{ChatRecords, Chats, Devices, LogEraser, LogFuture};
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
    fn count<'a>(&'a self, chats: &'a Chats) -> LogFuture<'a, ChatRecords> {
        let condition = Condition::of(chats);
        self.db.run(move |db| count(db, &condition))
    }

    fn erase<'a>(&'a self, chats: &'a Chats) -> LogFuture<'a, u64> {
        let condition = Condition::of(chats);
        self.db.run(move |db| erase(db, &condition))
    }
}

/// Condition of the records of chats, with its values.
struct Condition {
    text: String,
    values: Vec<String>,
}

impl Condition {
    fn of(chats: &Chats) -> Self {
        let patterns: Vec<_> = chats.devices.iter().flat_map(patterns).collect();
        let ids = vec!["?"; chats.ids.len()].join(", ");
        let devices = " OR chat GLOB ?".repeat(patterns.len());
        Self {
            text: format!("(chat IN ({ids}){devices})"),
            values: [chats.ids.clone(), patterns].concat(),
        }
    }
}

/// Returns the patterns of GLOB for the ids of devices, which have none of its signs.
fn patterns(Devices { user, server }: &Devices) -> [String; 2] {
    [
        format!("{user}:*@{server}"),
        format!("{user}.[0-9]*@{server}"),
    ]
}

fn count(db: &Connection, condition: &Condition) -> rusqlite::Result<ChatRecords> {
    let Condition { text, values } = condition;
    let query = format!(
        "SELECT count(*) FILTER (WHERE status <> 'retrying'), \
         count(*) FILTER (WHERE status = 'retrying') FROM webhooklogs WHERE {text}"
    );
    db.query_row(&query, params_from_iter(values), |row| {
        let number = |column| -> rusqlite::Result<u64> {
            let number: i64 = row.get(column)?;
            Ok(u64::try_from(number).unwrap_or_default())
        };
        Ok(ChatRecords {
            concluded: number(0)?,
            retrying: number(1)?,
        })
    })
}

fn erase(db: &Connection, condition: &Condition) -> rusqlite::Result<u64> {
    db.execute_batch(SETTINGS)?;
    let Condition { text, values } = condition;
    let update = format!(
        "UPDATE webhooklogs SET payload = ?, chat = NULL, messageId = NULL, sent = NULL, \
         sentBody = NULL, attempts = \
         (SELECT json_group_array(json_remove(value, '$.response')) FROM json_each(attempts)) \
         WHERE rowid IN (SELECT rowid FROM webhooklogs \
         WHERE {text} AND status <> 'retrying' LIMIT {BATCH})"
    );
    let payload = erased_payload();
    let values = std::iter::once(&payload).chain(values);
    let erased = db.execute(&update, params_from_iter(values))?;
    Ok(u64::try_from(erased).unwrap_or(u64::MAX))
}
