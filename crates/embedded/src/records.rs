//! Queries on the table of delivery records. Merges attempts; the domain derives all other
//! fields from them.

use rusqlite::{Connection, OptionalExtension, Row, params};
use wahook_delivery_log::{parse_record_key, record_key};
use wahook_domain::{
    AttemptResult, DeliveryRecord, EndpointName, EventId, EventName, Redaction, Sent, UnixMillis,
    json::Node,
};
use wahook_queue::message::LoggedAttempt;
use wahook_sources::{LoggedBody, LoggedEvent};

use crate::{
    another_event,
    payload::{logged_payload, printed},
};

#[cfg(test)]
mod tests;

/// Maximum number of records removed in one transaction, so that writers do not wait long.
const REMOVE_BATCH: i64 = 500;

/// Inserts the record of a delivery, without the values that the log does not keep, or merges the
/// result into the existing one. Returns false if that record cannot be read: it stays as it is, and
/// holds up no event.
pub(crate) fn write(
    db: &Connection,
    result: &AttemptResult,
    redaction: Option<&Redaction>,
) -> rusqlite::Result<bool> {
    let record = DeliveryRecord::first(result);
    if insert(db, &record, result, redaction)? {
        return Ok(true);
    }
    let known = match find_known(db, result, redaction) {
        Err(error) if is_unreadable(&error) => {
            report_unreadable(result, &error);
            return Ok(false);
        }
        found => found?,
    };
    if let Some((mut known, is_other)) = known {
        if is_other {
            let mut marked = result.clone();
            marked.attempt.other_event = true;
            known.merge(&marked);
        } else {
            known.merge(result);
        }
        update(db, &known)?;
    }
    Ok(true)
}

fn report_unreadable(result: &AttemptResult, error: &rusqlite::Error) {
    tracing::error!(
        event_id = %result.event_id,
        endpoint = %result.endpoint,
        attempt = result.attempt.number.get(),
        reason = %error,
        "the log has an unreadable record of this delivery; this attempt is missing from the log"
    );
}

/// Returns the record of an event and endpoint.
pub(crate) fn find(
    db: &Connection,
    id: &EventId,
    endpoint: &EndpointName,
) -> rusqlite::Result<Option<DeliveryRecord>> {
    let mut statement =
        db.prepare_cached("SELECT event, createdAt, attempts FROM webhooklogs WHERE _id = ?")?;
    statement
        .query_row([record_key(id, endpoint)], |row| read(row, id, endpoint))
        .optional()
}

/// Returns the record that a result belongs to, and true if it is of another event.
fn find_known(
    db: &Connection,
    result: &AttemptResult,
    redaction: Option<&Redaction>,
) -> rusqlite::Result<Option<(DeliveryRecord, bool)>> {
    let (id, endpoint) = (&result.event_id, &result.endpoint);
    let mut statement = db.prepare_cached(
        "SELECT event, createdAt, attempts, payload FROM webhooklogs WHERE _id = ?",
    )?;
    let known = statement.query_row([record_key(id, endpoint)], |row| {
        let known = read(row, id, endpoint)?;
        let payload = row.get_ref(3)?.as_str()?;
        let is_other =
            known.may_mix(result) && another_event::sent_by(&known, payload, result, redaction);
        Ok((known, is_other))
    });
    known.optional()
}

/// Reads the key of a record; `None` if the row is not a delivery record.
pub(crate) fn key(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<(EventId, EndpointName)>> {
    let key = row.get_ref(column)?.as_str().ok();
    Ok(key.and_then(parse_record_key))
}

/// Removes a batch of records of events accepted before `moment`. Returns true if there may
/// be more.
pub(crate) fn remove_before(db: &Connection, moment: UnixMillis) -> rusqlite::Result<bool> {
    let mut statement = db.prepare_cached(
        "DELETE FROM webhooklogs WHERE rowid IN \
         (SELECT rowid FROM webhooklogs WHERE createdAt < ? LIMIT ?)",
    )?;
    let removed = statement.execute([moment.get(), REMOVE_BATCH])?;
    Ok(i64::try_from(removed).is_ok_and(|removed| removed == REMOVE_BATCH))
}

/// Inserts a record unless it exists. Returns true if it was inserted.
fn insert(
    db: &Connection,
    record: &DeliveryRecord,
    result: &AttemptResult,
    redaction: Option<&Redaction>,
) -> rusqlite::Result<bool> {
    let mut statement = db.prepare_cached(
        "INSERT INTO webhooklogs (_id, event, payload, webhookUrl, status, statusCode, \
         retryCount, errorMessage, createdAt, updatedAt, lastRetryAt, completedAt, \
         nextAttemptAt, eventId, endpoint, attempts, timestamp, source, session, chat, messageId, \
         sent, sentBody) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
         ON CONFLICT (_id) DO NOTHING",
    )?;
    let body = LoggedBody::of(result);
    let event = body.parse();
    let payload = logged_payload(&event, result, redaction);
    let timestamp = timestamp(&event);
    let subject = event.subject(result.origin.as_deref());
    // JSON stores every payload.
    let sent = event.sent(result, false, redaction);
    let inserted = statement.execute(params![
        record_key(&record.event_id, &record.endpoint),
        record.event.as_str(),
        payload,
        record.webhook_url(),
        record.status().as_str(),
        record.status_code(),
        record.retry_count(),
        record.error_message(),
        record.created_at.get(),
        record.updated_at().get(),
        record.last_retry_at().map(UnixMillis::get),
        record.completed_at().map(UnixMillis::get),
        record.next_attempt_at().map(UnixMillis::get),
        record.event_id.as_str(),
        record.endpoint.as_str(),
        attempts(record)?,
        timestamp,
        subject.source,
        subject.session,
        subject.chat.as_deref(),
        subject.message_id.as_deref(),
        sent.as_ref().map(Sent::to_json),
        sent.as_ref().and_then(|sent| sent.body.as_deref()),
    ])?;
    Ok(inserted == 1)
}

fn update(db: &Connection, record: &DeliveryRecord) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(
        "UPDATE webhooklogs SET webhookUrl = ?, status = ?, statusCode = ?, retryCount = ?, \
         errorMessage = ?, createdAt = ?, updatedAt = ?, lastRetryAt = ?, completedAt = ?, \
         nextAttemptAt = ?, attempts = ? WHERE _id = ?",
    )?;
    statement.execute(params![
        record.webhook_url(),
        record.status().as_str(),
        record.status_code(),
        record.retry_count(),
        record.error_message(),
        record.created_at.get(),
        record.updated_at().get(),
        record.last_retry_at().map(UnixMillis::get),
        record.completed_at().map(UnixMillis::get),
        record.next_attempt_at().map(UnixMillis::get),
        attempts(record)?,
        record_key(&record.event_id, &record.endpoint),
    ])?;
    Ok(())
}

/// Returns the event's timestamp as text, even if the gateway sent a number.
fn timestamp(event: &LoggedEvent<'_>) -> String {
    match &event.timestamp {
        Node::Text(text) => text.to_str().0.into_owned(),
        other => printed(other),
    }
}

fn attempts(record: &DeliveryRecord) -> rusqlite::Result<String> {
    let stored: Vec<_> = record.attempts().iter().map(LoggedAttempt::from).collect();
    serde_json::to_string(&stored)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Reads a record from the columns event, createdAt and attempts.
pub(crate) fn read(
    row: &Row<'_>,
    id: &EventId,
    endpoint: &EndpointName,
) -> rusqlite::Result<DeliveryRecord> {
    let event: String = row.get(0)?;
    let attempts: String = row.get(2)?;
    let attempts: Vec<LoggedAttempt<'_>> =
        serde_json::from_str(&attempts).map_err(|error| unreadable(2, error))?;
    let attempts: Option<Vec<_>> = attempts.into_iter().map(LoggedAttempt::read).collect();
    Ok(DeliveryRecord {
        event_id: id.clone(),
        endpoint: endpoint.clone(),
        event: EventName::parse(&event).map_err(|error| unreadable(0, error))?,
        created_at: UnixMillis::new(row.get(1)?),
        attempts: attempts.ok_or_else(|| unreadable(2, "an attempt has no number"))?,
    })
}

pub(crate) fn unreadable(
    column: usize,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> rusqlite::Error {
    let text = rusqlite::types::Type::Text;
    rusqlite::Error::FromSqlConversionFailure(column, text, error.into())
}

/// Returns true if a value could not be read, in contrast to the file.
fn is_unreadable(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{
        FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error,
    };
    matches!(
        error,
        FromSqlConversionFailure(..)
            | IntegralValueOutOfRange(..)
            | InvalidColumnType(..)
            | Utf8Error(..)
    )
}
