//! Comparison of a result with the record that its delivery has.

use rusqlite::Connection;
use wahook_delivery_log::record_key;
use wahook_domain::{AttemptResult, DeliveryRecord, Redaction, redaction::erased_payload};
use wahook_sources::LoggedBody;

use crate::payload::logged_payload;

/// Returns true if the record has the name or payload of another event than the result. An
/// erased record has no payload to compare.
pub(crate) fn sent_by(
    db: &Connection,
    known: &DeliveryRecord,
    result: &AttemptResult,
    redaction: Option<&Redaction>,
) -> rusqlite::Result<bool> {
    if known.event != result.event {
        return Ok(true);
    }
    let mut statement = db.prepare_cached("SELECT payload FROM webhooklogs WHERE _id = ?")?;
    let stored: String = statement
        .query_row([record_key(&known.event_id, &known.endpoint)], |row| {
            row.get(0)
        })?;
    let body = LoggedBody::of(result);
    let sent = logged_payload(&body.parse(), result, redaction);
    Ok(stored != sent && stored != erased_payload())
}
