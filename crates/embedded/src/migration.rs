//! Migration of a data file of an older schema version, in one transaction: after a crash the
//! file is unchanged.
//!
//! Version 1 has AMQP properties of messages as JSON instead of columns, so its messages are
//! rewritten. Version 2 lacks the columns for the origin of an event,
//! versions 2 and 3 lack the columns for its key and for redeliveries, and versions 2 to 4
//! lack the mark of bodies as they were sent and the columns for the context of requests and
//! for automatic redrives. The log of versions 1 to 5 lacks the columns for what was sent.

use std::collections::BTreeMap;

use bytes::Bytes;
use rusqlite::{Connection, TransactionBehavior};
use serde::Deserialize;
use wahook_domain::{AttemptNumber, EndpointName, EventId, EventName, UnixMillis};
use wahook_queue::{Death, MessageMetadata, Stored};

use crate::{messages, schema};

const SET_ASIDE: &str = "
    DROP INDEX messages_by_queue;
    DROP INDEX waiting_by_time;
    ALTER TABLE messages RENAME TO messages_v1;
    ALTER TABLE waiting RENAME TO waiting_v1;";
const REMOVE_OLD: &str = "
    DROP TABLE messages_v1;
    DROP TABLE waiting_v1;";

/// Creates the schema in a new file, or migrates an older one. Does nothing if another
/// process has done so.
pub(crate) fn migrate(db: &mut Connection) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    if found == 0 {
        transaction.execute_batch(schema::SCHEMA)?;
    } else if found < schema::VERSION {
        upgrade(&transaction, found)?;
        transaction.pragma_update(None, "user_version", schema::VERSION)?;
        tracing::info!(from = found, to = schema::VERSION, "data file migrated");
    }
    transaction.commit()
}

/// Changes the tables of version `found` to those of the present version.
fn upgrade(db: &Connection, found: i64) -> rusqlite::Result<()> {
    if found == 1 {
        rewrite(db)?;
    }
    if found == 2 {
        db.execute_batch(schema::ORIGIN_OF_MESSAGES)?;
    }
    if found <= 2 {
        db.execute_batch(schema::ORIGIN_OF_RECORDS)?;
    }
    if found == 2 || found == 3 {
        db.execute_batch(schema::KEY_AND_REDELIVERY_OF_MESSAGES)?;
    }
    if (2..5).contains(&found) {
        db.execute_batch(schema::COLUMNS_OF_VERSION_5)?;
    }
    db.execute_batch(schema::SENT_OF_RECORDS)
}

/// Returns the schema version of the file; 0 for a new one.
pub(crate) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Rewrites all messages.
fn rewrite(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(SET_ASIDE)?;
    db.execute_batch(schema::SCHEMA)?;
    copy_queued(db)?;
    copy_waiting(db)?;
    db.execute_batch(REMOVE_OLD)
}

fn copy_queued(db: &Connection) -> rusqlite::Result<()> {
    let mut statement = db.prepare(
        "SELECT properties, body, event_id, event, seq, queue, deliveries FROM messages_v1 \
         ORDER BY seq",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (seq, queue, deliveries): (i64, String, i64) = (row.get(4)?, row.get(5)?, row.get(6)?);
        messages::insert(db, seq, &queue, &old_message(row)?)?;
        if deliveries > 0 {
            messages::set_deliveries(db, seq, deliveries)?;
        }
    }
    Ok(())
}

fn copy_waiting(db: &Connection) -> rusqlite::Result<()> {
    let mut statement = db.prepare(
        "SELECT properties, body, event_id, event, due_at, queue FROM waiting_v1 ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (due_at, queue): (i64, String) = (row.get(4)?, row.get(5)?);
        let due_at = UnixMillis::new(due_at);
        messages::insert_waiting(db, due_at, None, &queue, &old_message(row)?)?;
    }
    Ok(())
}

/// Reads the first four columns of a row. A message with unreadable properties keeps id,
/// name and body: its consumer dead-letters it as undecodable.
fn old_message(row: &rusqlite::Row<'_>) -> rusqlite::Result<Stored> {
    let (properties, body): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
    let metadata = match serde_json::from_str::<Properties>(&properties) {
        Ok(properties) => properties.metadata(),
        Err(error) => {
            let (id, event): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
            tracing::error!(%error, id, "properties of a stored message are unreadable");
            MessageMetadata {
                id: id.and_then(|id| EventId::parse(&id).ok()),
                event: event.and_then(|name| EventName::parse(&name).ok()),
                ..MessageMetadata::default()
            }
        }
    };
    Ok(Stored {
        metadata,
        payload: Bytes::from(body),
    })
}

/// Properties of a message, as version 1 wrote them; the others are constant or repeat these.
#[derive(Deserialize)]
struct Properties {
    headers: Option<BTreeMap<String, Value>>,
    message_id: Option<String>,
    kind: Option<String>,
}

/// Value of a header.
#[derive(Deserialize)]
enum Value {
    LongLongInt(i64),
    LongString(Vec<u8>),
    Timestamp(u64),
    FieldTable(BTreeMap<String, Value>),
    FieldArray(Vec<Value>),
}

impl Properties {
    fn metadata(self) -> MessageMetadata {
        let headers = self.headers.unwrap_or_default();
        let text = |name: &str| headers.get(name).and_then(Value::text);
        let number = |name: &str| headers.get(name).and_then(Value::number);
        let time = |name: &str| number(name).map(UnixMillis::new);
        let attempt = number("x-attempt").and_then(|number| u32::try_from(number).ok());
        MessageMetadata {
            id: self.message_id.and_then(|id| EventId::parse(&id).ok()),
            event: self.kind.and_then(|name| EventName::parse(&name).ok()),
            attempt: attempt.and_then(AttemptNumber::new),
            accepted_at: time("x-first-published-ms"),
            redriven_at: time("x-redriven-ms"),
            traceparent: text("traceparent"),
            endpoint: text("x-endpoint").and_then(|name| EndpointName::parse(&name).ok()),
            reason: text("x-reason"),
            dead_at: time("x-dead-ms"),
            death: headers.get("x-death").and_then(Value::last_death),
            result: text("x-result"),
            ..MessageMetadata::default()
        }
    }
}

impl Value {
    fn text(&self) -> Option<String> {
        match self {
            Self::LongString(text) => String::from_utf8(text.clone()).ok(),
            _ => None,
        }
    }

    fn number(&self) -> Option<i64> {
        match self {
            Self::LongLongInt(number) => Some(*number),
            _ => None,
        }
    }

    /// Reads the first of the moves in `x-death`, which is the latest.
    fn last_death(&self) -> Option<Death> {
        let Self::FieldArray(deaths) = self else {
            return None;
        };
        let Self::FieldTable(latest) = deaths.first()? else {
            return None;
        };
        let seconds = match latest.get("time") {
            Some(Self::Timestamp(seconds)) => i64::try_from(*seconds).ok(),
            _ => None,
        };
        Some(Death {
            queue: latest.get("queue").and_then(Self::text),
            reason: latest
                .get("reason")
                .and_then(Self::text)
                .unwrap_or_default(),
            at: seconds.map(|seconds| UnixMillis::new(seconds.saturating_mul(1_000))),
        })
    }
}

#[cfg(test)]
mod tests;
