//! A record as MongoDB keeps it.
//!
//! Users read these documents with their own queries, so names, order and types
//! are a contract. The fields of an attempt are stored in the order in which the
//! domain compares them, because the server compares documents field by field.

use std::collections::BTreeSet;

use mongodb::bson::{DateTime, RawArrayBuf, RawBson, RawDocumentBuf, cstr, rawdoc};
use wahook_domain::{
    Attempt, AttemptResult, DeliveryRecord, EndpointName, EventId, UnixMillis,
    json::{self, Node},
};

use crate::payload::{self, Alteration, Form, Payload};

/// The `_id` of a record.
pub(crate) fn key(id: &EventId, endpoint: &EndpointName) -> String {
    format!("{id}/{endpoint}")
}

/// A record of one result and nothing else.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) bson: RawDocumentBuf,
    pub(crate) altered: BTreeSet<Alteration>,
}

/// The record of this result alone, its payload in the given form.
pub(crate) fn of_result(result: &AttemptResult, form: Form) -> Document {
    let record = DeliveryRecord::first(result);
    let (payload, timestamp) = sent_parts(result, form);
    let mut bson = rawdoc! {
        "_id": key(&record.event_id, &record.endpoint),
        "event": record.event.as_str(),
        "webhookUrl": record.webhook_url(),
        "status": record.status().as_str(),
        "statusCode": or_null(record.status_code().map(i32::from)),
        "retryCount": integer(record.retry_count().into()),
        "errorMessage": or_null(record.error_message()),
        "createdAt": date(record.created_at),
        "updatedAt": date(record.updated_at()),
        "lastRetryAt": or_null(record.last_retry_at().map(date)),
        "completedAt": or_null(record.completed_at().map(date)),
        "nextAttemptAt": or_null(record.next_attempt_at().map(date)),
        "eventId": record.event_id.as_str(),
        "endpoint": record.endpoint.as_str(),
        "attempts": [attempt(&result.attempt)],
        "timestamp": timestamp,
    };
    // Last, because it is the longest part and may be missing.
    if let Some(payload) = payload.document {
        bson.append(cstr!("payload"), payload);
    }
    if !payload.altered.is_empty() {
        let words = payload.altered.iter().map(|reason| reason.as_str());
        bson.append(cstr!("payloadAltered"), RawArrayBuf::from_iter(words));
    }
    Document {
        bson,
        altered: payload.altered,
    }
}

/// In the order in which the domain compares the fields of an attempt.
fn attempt(attempt: &Attempt) -> RawDocumentBuf {
    rawdoc! {
        "queuedAt": date(attempt.queued_at),
        "number": integer(attempt.number.get().into()),
        "startedAt": date(attempt.started_at),
        "durationMs": integer(attempt.duration_ms),
        "statusCode": or_null(attempt.status_code.map(i32::from)),
        "error": or_null(attempt.error.as_deref()),
        "nextAttemptAt": or_null(attempt.next_attempt_at.map(date)),
        "webhookUrl": &*attempt.webhook_url,
    }
}

/// What the gateway sent: the event's data, and its time as text even where the
/// gateway sent a number.
fn sent_parts(result: &AttemptResult, form: Form) -> (Payload, String) {
    let body = result.body.parse();
    let member = |name| match &body {
        Node::Object(members) => members.get(name),
        _ => None,
    };
    let payload = payload::encode(member("data").unwrap_or(&Node::Null), form);
    let timestamp = match member("timestamp") {
        Some(Node::Text(text)) => text.to_str().0.into_owned(),
        Some(other) => {
            let mut printed = Vec::new();
            json::print(other, &mut printed);
            String::from_utf8_lossy(&printed).into_owned()
        }
        None => String::new(),
    };
    (payload, timestamp)
}

fn or_null(value: Option<impl Into<RawBson>>) -> RawBson {
    value.map_or(RawBson::Null, Into::into)
}

fn date(time: UnixMillis) -> DateTime {
    DateTime::from_millis(time.get())
}

/// `int` where it fits: shells and other languages show it more kindly than `long`.
fn integer(value: i64) -> RawBson {
    i32::try_from(value).map_or(RawBson::Int64(value), RawBson::Int32)
}
