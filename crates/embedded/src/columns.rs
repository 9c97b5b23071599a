//! Columns of a message: its metadata and its body.

use bytes::Bytes;
use rusqlite::{Connection, Row, ToSql, params_from_iter, types::ValueRef};
use std::{borrow::Cow, sync::Arc};
use wahook_domain::{
    AttemptNumber, EndpointName, EventId, EventName, OrderKey, Origin, Propagated, UnixMillis,
};
use wahook_queue::{Death, MessageMetadata, Parked, Poison, Stored};

/// Names of the columns, in the order of [`insert`] and [`read`].
macro_rules! message_columns {
    () => {
        "event_id, event, attempt, accepted_at, redriven_at, traceparent, endpoint, reason, \
         dead_at, death_queue, death_reason, death_at, result, origin, key, \
         redelivery, exact, tracestate, baggage, auto_redrives, outage, body"
    };
}
pub(crate) use message_columns;

/// Inserts a message; `key` and `queue` are the values of the columns before it.
pub(crate) fn insert(
    db: &Connection,
    into: &str,
    key: i64,
    queue: &str,
    message: &Stored,
) -> rusqlite::Result<()> {
    execute(db, into, key, queue, message, &[])
}

/// Inserts a message as [`insert`]; `delay` is the value of the column after it.
pub(crate) fn insert_delayed(
    db: &Connection,
    into: &str,
    key: i64,
    delay: Option<i64>,
    queue: &str,
    message: &Stored,
) -> rusqlite::Result<()> {
    execute(db, into, key, queue, message, &[&delay])
}

fn execute(
    db: &Connection,
    into: &str,
    key: i64,
    queue: &str,
    message: &Stored,
    last: &[&dyn ToSql],
) -> rusqlite::Result<()> {
    let metadata = &message.metadata;
    let death = metadata.death.as_ref();
    let propagated = metadata.propagated.as_deref();
    let columns: [&dyn ToSql; 24] = [
        &key,
        &queue,
        &metadata.id.as_ref().map(EventId::as_str),
        &metadata.event.as_ref().map(EventName::as_str),
        &metadata.attempt.map(AttemptNumber::get),
        &metadata.accepted_at.map(UnixMillis::get),
        &metadata.redriven_at.map(UnixMillis::get),
        &metadata.traceparent,
        &metadata.endpoint.as_ref().map(EndpointName::as_str),
        &metadata.reason,
        &metadata.dead_at.map(UnixMillis::get),
        &death.and_then(|death| death.queue.as_deref()),
        &death.map(|death| death.reason.as_str()),
        &death.and_then(|death| death.at).map(UnixMillis::get),
        &result_column(metadata),
        &metadata.origin.as_deref().map(Origin::to_json),
        &metadata.key.as_ref().map(OrderKey::as_str),
        &metadata.is_redelivery.then_some(1_i64),
        &metadata.is_exact.then_some(1_i64),
        &propagated.and_then(|context| context.tracestate.as_deref()),
        &propagated.and_then(|context| context.baggage.as_deref()),
        &Some(metadata.auto_redrives).filter(|count| *count > 0),
        &metadata.is_outage,
        &&*message.payload,
    ];
    let mut statement = db.prepare_cached(into)?;
    statement.execute(params_from_iter(columns.iter().chain(last)))?;
    Ok(())
}

/// Reads a message from the columns from `first` on. A value of another form is missing:
/// the message is then undecodable, and its consumer dead-letters it.
pub(crate) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Stored> {
    let text = |at: usize| row.get_ref(first + at).map(text_of);
    let time = |at: usize| row.get_ref(first + at).map(time_of);
    let owned = |at: usize| text(at).map(|text| text.map(str::to_owned));
    let attempt = row.get_ref(first + 2)?.as_i64().ok();
    let attempt = attempt.and_then(|number| u32::try_from(number).ok());
    let death = match owned(10)? {
        Some(reason) => Some(Death {
            queue: owned(9)?,
            reason,
            at: time(11)?,
        }),
        None => None,
    };
    let origin = text(13)?;
    let is_sourced = origin.is_some();
    let origin = origin.and_then(Origin::from_json).map(Arc::new);
    let auto_redrives = row.get_ref(first + 19)?.as_i64().unwrap_or_default();
    let result = text(12)?;
    let parked = result.and_then(Parked::parse);
    let metadata = MessageMetadata {
        id: text(0)?.and_then(|id| EventId::parse(id).ok()),
        event: text(1)?.and_then(|name| EventName::parse(name).ok()),
        attempt: attempt.and_then(AttemptNumber::new),
        accepted_at: time(3)?,
        redriven_at: time(4)?,
        traceparent: owned(5)?,
        endpoint: text(6)?.and_then(|name| EndpointName::parse(name).ok()),
        reason: owned(7)?,
        dead_at: time(8)?,
        death,
        result: result.filter(|_| parked.is_none()).map(str::to_owned),
        parked,
        defect: (origin.is_none() && is_sourced).then_some(Poison::Missing("origin")),
        origin,
        key: text(14)?.and_then(|key| OrderKey::parse(key).ok()),
        is_redelivery: row.get_ref(first + 15)?.as_i64() == Ok(1),
        auto_redrives: u8::try_from(auto_redrives).unwrap_or(u8::MAX),
        is_exact: row.get_ref(first + 16)?.as_i64() == Ok(1),
        propagated: Propagated::of(owned(17)?, owned(18)?),
        is_outage: row.get_ref(first + 20)?.as_i64().ok().map(|mark| mark == 1),
    };
    let body: Vec<u8> = row.get(first + 21)?;
    Ok(Stored {
        metadata,
        payload: Bytes::from(body),
    })
}

/// Returns the value of the column `result`: the result of an attempt, which is JSON, or the
/// state of a message in a parking slot. No message has both.
fn result_column(metadata: &MessageMetadata) -> Option<Cow<'_, str>> {
    match &metadata.parked {
        Some(parked) => Some(parked.to_text().into()),
        None => metadata.result.as_deref().map(Cow::from),
    }
}

fn text_of(value: ValueRef<'_>) -> Option<&str> {
    value.as_str().ok()
}

fn time_of(value: ValueRef<'_>) -> Option<UnixMillis> {
    value.as_i64().ok().map(UnixMillis::new)
}
