//! Reads records as searches return them.

use mongodb::bson::{Document, RawArray, RawBsonRef, RawDocument, doc};
use wahook_delivery_log::{FoundDelivery, LoggedDelivery};
use wahook_domain::{
    EndpointName, EventId, Status, UnixMillis,
    json::{self, Node, Text},
};

use crate::{find, sent, survey};

/// Returns the projection of [`read`].
pub(crate) fn projection() -> Document {
    let mut fields = Document::new();
    for field in [
        "event",
        "webhookUrl",
        "status",
        "statusCode",
        "retryCount",
        "errorMessage",
        "createdAt",
        "updatedAt",
        "lastRetryAt",
        "completedAt",
        "nextAttemptAt",
        "source",
        "session",
        "chat",
        "messageId",
    ] {
        fields.insert(field, 1);
    }
    let attempts = doc! { "$cond": [{ "$isArray": "$attempts" }, { "$size": "$attempts" }, 0] };
    fields.insert("attemptCount", attempts);
    fields
}

/// Returns `None` if the document is not a delivery record.
pub(crate) fn read(record: &RawDocument) -> Option<FoundDelivery> {
    let (event_id, endpoint) = survey::key(record)?;
    let text = |name| record.get_str(name).ok().map(str::to_owned);
    let number = |name| record.get_i32(name).ok();
    let date = |name| {
        let date = record.get_datetime(name).ok()?;
        Some(UnixMillis::new(date.timestamp_millis()))
    };
    let created_at = date("createdAt")?;
    Some(FoundDelivery {
        event_id,
        endpoint,
        event: text("event")?,
        webhook_url: text("webhookUrl").unwrap_or_default(),
        status: Status::parse(record.get_str("status").ok()?)?,
        status_code: number("statusCode").and_then(|code| code.try_into().ok()),
        retry_count: number("retryCount")
            .and_then(|count| count.try_into().ok())
            .unwrap_or_default(),
        error_message: text("errorMessage"),
        created_at,
        updated_at: date("updatedAt").unwrap_or(created_at),
        last_retry_at: date("lastRetryAt"),
        completed_at: date("completedAt"),
        next_attempt_at: date("nextAttemptAt"),
        source: text("source"),
        session: text("session"),
        chat: text("chat"),
        message_id: text("messageId"),
        attempt_count: number("attemptCount")
            .and_then(|count| count.try_into().ok())
            .unwrap_or_default(),
    })
}

/// Reads a whole record; `None` if it is not a delivery record.
pub(crate) fn logged(
    stored: &RawDocument,
    id: &EventId,
    endpoint: &EndpointName,
) -> Result<Option<LoggedDelivery>, String> {
    let Some(found) = read(stored) else {
        return Ok(None);
    };
    let record = find::record(stored, id, endpoint)?;
    let altered = stored.get_array("payloadAltered");
    Ok(Some(LoggedDelivery {
        found: FoundDelivery {
            attempt_count: record.attempts.len(),
            ..found
        },
        timestamp: stored.get_str("timestamp").unwrap_or_default().to_owned(),
        payload: stored.get_document("payload").ok().map(json_text),
        payload_altered: altered.map(texts).unwrap_or_default(),
        sent: sent::read(stored),
        attempts: record.attempts,
    }))
}

fn texts(array: &RawArray) -> Vec<String> {
    let texts = array.into_iter().flatten();
    let texts = texts.filter_map(|value| value.as_str().map(str::to_owned));
    texts.collect()
}

fn json_text(document: &RawDocument) -> String {
    let mut printed = Vec::new();
    json::print(&object(document), &mut printed);
    String::from_utf8_lossy(&printed).into_owned()
}

fn object(document: &RawDocument) -> Node<'static> {
    let members = document.iter().flatten();
    let members = members.map(|(key, value)| (Text::owned(key.as_str()), node(value)));
    Node::Object(members.collect())
}

/// Returns a value as JSON. Types that only users write become their text.
fn node(value: RawBsonRef<'_>) -> Node<'static> {
    match value {
        RawBsonRef::Null => Node::Null,
        RawBsonRef::Boolean(value) => Node::Bool(value),
        RawBsonRef::Int32(value) => Node::Number(value.into()),
        RawBsonRef::Double(value) if value.is_finite() => Node::Number(value),
        RawBsonRef::String(text) => Node::Text(Text::owned(text)),
        RawBsonRef::Document(members) => object(members),
        RawBsonRef::Array(items) => Node::Array(items.into_iter().flatten().map(node).collect()),
        RawBsonRef::Int64(value) => Node::Text(Text::owned(&value.to_string())),
        other => Node::Text(Text::owned(&format!("{other:?}"))),
    }
}
