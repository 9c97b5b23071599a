//! Results of attempts in the form that a consumer writes.

use std::sync::Arc;

use wahook_delivery_log::WriteReport;
use wahook_domain::{
    Attempt, AttemptNumber, AttemptResult, EndpointName, EventBody, EventId, EventName, Ingest,
    Original, UnixMillis, Validation, ingest,
};

/// 2024-10-01T12:00:00.000Z
pub(crate) const NOON: i64 = 1_727_784_000_000;

pub(crate) fn body(raw: &str) -> EventBody {
    let context = Ingest {
        validation: Validation::Lenient,
        now: UnixMillis::new(NOON),
        idempotency_key: None,
    };
    let fresh_id = || EventId::parse("fresh").unwrap();
    ingest(raw.as_bytes(), context, fresh_id).unwrap().body
}

pub(crate) fn event_with(data: &str) -> EventBody {
    body(&format!(
        r#"{{"event":"message_create","data":{data},"timestamp":"2024-10-01T12:00:00.000Z"}}"#
    ))
}

pub(crate) fn attempt(number: u32, error: Option<&str>, next_attempt_at: Option<i64>) -> Attempt {
    let delay = i64::from(number - 1) * 5_000;
    Attempt {
        queued_at: UnixMillis::new(NOON),
        number: AttemptNumber::new(number).unwrap(),
        started_at: UnixMillis::new(NOON + 20 + delay),
        duration_ms: 12,
        status_code: Some(if error.is_some() { 500 } else { 200 }),
        error: error.map(str::to_owned),
        next_attempt_at: next_attempt_at.map(UnixMillis::new),
        webhook_url: Arc::from("https://example.test/hook"),
        response: None,
        other_event: false,
    }
}

pub(crate) fn result(id: &str, body: &EventBody, attempt: Attempt) -> AttemptResult {
    AttemptResult {
        event_id: EventId::parse(id).unwrap(),
        endpoint: EndpointName::default(),
        event: EventName::parse("message_create").unwrap(),
        body: body.clone(),
        accepted_at: UnixMillis::new(NOON),
        origin: None,
        original: Original::Same,
        attempt,
    }
}

pub(crate) fn delivered(id: &str, body: &EventBody) -> AttemptResult {
    result(id, body, attempt(1, None, None))
}

pub(crate) fn written(count: usize) -> WriteReport {
    WriteReport {
        written: count,
        ..WriteReport::default()
    }
}
