//! Encodes a delivery record as a MongoDB document.
//!
//! Users query these documents, so names, order and types are a contract. The
//! fields of an attempt are stored in the order in which the domain compares
//! them, because the server compares documents field by field.

use std::{borrow::Cow, collections::BTreeSet};

use wahook_delivery_log::record_key;
use wahook_domain::{
    Attempt, AttemptResult, DeliveryRecord, Redaction, UnixMillis,
    json::{self, Node},
};

use wahook_sources::{LoggedBody, LoggedSubject};

use crate::{
    payload::{self, Alteration, Form},
    sent,
    writer::{ArrayKeys, Writer},
};

/// Writes the record of a single result, with its payload in the given form and without the
/// values that the log does not keep. Returns the alterations of the payload.
pub(crate) fn write(
    record: &mut Writer<'_>,
    result: &AttemptResult,
    form: Form,
    redaction: Option<&Redaction>,
) -> BTreeSet<Alteration> {
    let body = LoggedBody::of(result);
    let event = body.parse();
    derived(record, &DeliveryRecord::first(result));
    attempt(&mut record.array("attempts").document("0"), &result.attempt);
    record.text("timestamp", &timestamp(&event.timestamp));
    let subject = event.subject(result.origin.as_deref());
    write_subject(record, &subject);
    let redacted = redaction.and_then(|rules| rules.redacted(&result.event, &event.payload));
    let payload = redacted.as_ref().unwrap_or(&event.payload);
    // Last, because it is the longest part and may be missing.
    let altered = payload::write(record, "payload", payload, form);
    if !altered.is_empty() {
        let (mut words, mut keys) = (record.array("payloadAltered"), ArrayKeys::default());
        for reason in &altered {
            words.text(keys.next(), reason.as_str());
        }
    }
    if let Some(sent) = event.sent(result, !altered.is_empty(), redaction) {
        sent::write(record, "sent", &sent, form);
    }
    altered
}

/// Writes the fields that are derived from the attempts.
fn derived(to: &mut Writer<'_>, record: &DeliveryRecord) {
    to.text("_id", &record_key(&record.event_id, &record.endpoint));
    to.text("event", record.event.as_str());
    to.text("webhookUrl", record.webhook_url());
    to.text("status", record.status().as_str());
    status_code(to, record.status_code());
    to.integer("retryCount", record.retry_count().into());
    text_or_null(to, "errorMessage", record.error_message());
    date(to, "createdAt", record.created_at);
    date(to, "updatedAt", record.updated_at());
    date_or_null(to, "lastRetryAt", record.last_retry_at());
    date_or_null(to, "completedAt", record.completed_at());
    date_or_null(to, "nextAttemptAt", record.next_attempt_at());
    to.text("eventId", record.event_id.as_str());
    to.text("endpoint", record.endpoint.as_str());
}

/// Writes an attempt, with its fields in the domain's order of comparison.
fn attempt(to: &mut Writer<'_>, attempt: &Attempt) {
    date(to, "queuedAt", attempt.queued_at);
    to.integer("number", attempt.number.get().into());
    date(to, "startedAt", attempt.started_at);
    to.integer("durationMs", attempt.duration_ms);
    status_code(to, attempt.status_code);
    text_or_null(to, "error", attempt.error.as_deref());
    date_or_null(to, "nextAttemptAt", attempt.next_attempt_at);
    to.text("webhookUrl", &attempt.webhook_url);
    // Missing sorts before a text, as `None` does.
    if let Some(response) = &attempt.response {
        to.text("response", response);
    }
    if attempt.other_event {
        to.bool("otherEvent", true);
    }
}

/// Returns the gateway's timestamp as text, even if the gateway sent a number.
fn timestamp<'t>(timestamp: &'t Node<'_>) -> Cow<'t, str> {
    match timestamp {
        Node::Text(text) => text.to_str().0,
        Node::Null => Cow::default(),
        other => {
            let mut printed = Vec::new();
            json::print(other, &mut printed);
            String::from_utf8_lossy(&printed).into_owned().into()
        }
    }
}

/// Writes what the event is about.
fn write_subject(to: &mut Writer<'_>, subject: &LoggedSubject<'_>) {
    for (key, value) in [
        ("source", subject.source),
        ("session", subject.session),
        ("chat", subject.chat.as_deref()),
        ("messageId", subject.message_id.as_deref()),
    ] {
        if let Some(value) = value {
            to.text(key, value);
        }
    }
}

fn status_code(to: &mut Writer<'_>, code: Option<u16>) {
    match code {
        Some(code) => to.int("statusCode", code.into()),
        None => to.null("statusCode"),
    }
}

fn text_or_null(to: &mut Writer<'_>, key: &str, text: Option<&str>) {
    match text {
        Some(text) => to.text(key, text),
        None => to.null(key),
    }
}

fn date(to: &mut Writer<'_>, key: &str, time: UnixMillis) {
    to.date(key, time.get());
}

fn date_or_null(to: &mut Writer<'_>, key: &str, time: Option<UnixMillis>) {
    match time {
        Some(time) => date(to, key, time),
        None => to.null(key),
    }
}
