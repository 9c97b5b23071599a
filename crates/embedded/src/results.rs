//! Results of a record, and the body that was sent, as far as the log has it.

use rusqlite::Row;
use std::sync::Arc;
use wahook_domain::{
    Attempt, AttemptResult, EndpointName, EventBody, EventId, Omitted, Origin, Original, Sent,
    SourceName, sent_body,
};

use crate::records::{read, unreadable};

/// Returns the results of a record, by attempt. The row starts with the columns of [`read`],
/// then key, id, endpoint, payload and timestamp. It ends with the columns of the origin and
/// those of [`sent`]. A body that the log does not have is made of the parts that it stores.
pub(crate) fn results(row: &Row<'_>, payload: &str) -> rusqlite::Result<Vec<AttemptResult>> {
    let (id, endpoint): (String, String) = (row.get(4)?, row.get(5)?);
    let id = EventId::parse(&id).map_err(|error| unreadable(4, error))?;
    let endpoint = EndpointName::parse(&endpoint).map_err(|error| unreadable(5, error))?;
    let record = read(row, &id, &endpoint)?;
    let sent = sent(row, 12)?;
    let origin = origin(row, 8, sent.as_ref())?;
    let bytes = match &sent {
        Some(sent) => sent.body_of(Some(payload)).map_err(Some),
        // Earlier versions did not store the bodies of sources.
        None => Err(origin.is_some().then_some(Omitted::NotKept)),
    };
    let (body, original, origin) = match bytes {
        Ok(bytes) => {
            let body = sent_body(bytes, origin.as_ref(), record.created_at);
            let (body, exact) = body.map_err(|error| unreadable(13, error))?;
            let original = exact.map_or(Original::Same, Original::Exact);
            (body, original, origin)
        }
        Err(reason) => {
            let body = logged_body(record.event.as_str(), payload, &row.get::<_, String>(7)?)?;
            let original = reason.map_or(Original::Same, Original::Lost);
            // The body is not in the gateway's own form.
            let received = None;
            let origin = origin.map(|origin| Origin { received, ..origin });
            (body, original, origin)
        }
    };
    let origin = origin.map(Arc::new);
    let result = |attempt: &Attempt| AttemptResult {
        event_id: id.clone(),
        endpoint: endpoint.clone(),
        event: record.event.clone(),
        body: body.clone(),
        accepted_at: record.created_at,
        origin: origin.clone(),
        original: original.clone(),
        attempt: attempt.clone(),
    };
    Ok(record.attempts().iter().map(result).collect())
}

/// Reads what the log stores of the body that was sent, from the columns sent and sentBody.
pub(crate) fn sent(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Sent>> {
    let Some(sent) = row.get_ref(first)?.as_str_or_null()? else {
        return Ok(None);
    };
    let sent = Sent::from_json(sent).ok_or_else(|| unreadable(first, "not what was sent"))?;
    let body: Option<Vec<u8>> = row.get(first + 1)?;
    let body = body.map(Into::into);
    Ok(Some(Sent { body, ..sent }))
}

/// Returns the length of the column sentBody.
pub(crate) fn sent_bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<usize> {
    let body = row.get_ref(column)?.as_blob_or_null()?;
    Ok(body.map_or(0, <[u8]>::len))
}

/// Returns an event with the parts that the log stores.
fn logged_body(event: &str, payload: &str, timestamp: &str) -> rusqlite::Result<EventBody> {
    let text = |text: &str| serde_json::to_string(text).map_err(|error| unreadable(7, error));
    let (event, timestamp) = (text(event)?, text(timestamp)?);
    let body = format!(r#"{{"event":{event},"data":{payload},"timestamp":{timestamp}}}"#);
    EventBody::check(body.into()).map_err(|error| unreadable(6, error))
}

/// Reads the origin of an event from the columns source, session, chat and messageId.
fn origin(row: &Row<'_>, first: usize, sent: Option<&Sent>) -> rusqlite::Result<Option<Origin>> {
    let Some(source) = row.get::<_, Option<String>>(first)? else {
        return Ok(None);
    };
    Ok(Some(Origin {
        source: SourceName::parse(&source).map_err(|error| unreadable(first, error))?,
        session: row.get(first + 1)?,
        chat: row.get(first + 2)?,
        message_id: row.get(first + 3)?,
        received: sent.and_then(|sent| sent.received.clone()),
    }))
}
