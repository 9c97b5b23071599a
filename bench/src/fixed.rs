//! Fixed events, time and secret of the micro-benchmarks and instruction counts.

use anyhow::Context;
use bytes::Bytes;
use uuid::Uuid;
use wahook_domain::{
    EventId, Ingest, QueuedEvent, Rejection, Secret, Signer, UnixMillis, Validation, ingest,
};

/// Fixed time of all steps: 2026-01-01.
pub const NOW: UnixMillis = UnixMillis::new(1_767_225_600_000);

/// Size of a typical event, in bytes.
pub const USUAL: usize = 400;
/// Size of a long event, in bytes.
pub const LONG: usize = 4096;

/// Returns an event as a gateway sends it, of exactly `bytes` bytes if the fixed parts fit.
/// Different numbers give different ids.
#[must_use]
pub fn event(number: u32, bytes: usize) -> String {
    let head = format!(
        r#"{{"event":"message_create","data":{{"id":{{"_serialized":"true_1234567890@c.us_3EB0{number:010}"}},"type":"chat","from":"1234567890@c.us","to":"0987654321@c.us","fromMe":false,"hasMedia":false,"isForwarded":false,"timestamp":1696176000,"body":""#
    );
    let end = r#""},"timestamp":"2026-01-01T00:00:00.000Z"}"#;
    let filling = bytes.saturating_sub(head.len() + end.len());
    let mut event = head;
    event.extend(std::iter::repeat_n('x', filling));
    event + end
}

/// Event of about 400 bytes with a different canonical form: numbers, escapes, keys and spaces
/// that JavaScript prints in another way.
pub const AWKWARD: &str = concat!(
    r#"{ "timestamp" : 1767225600000.0, "data" : { "10" : 1.0, "9" : 1e21, "#,
    r#""ratio" : 0.1e-6, "minus" : -0, "large" : 9007199254740993, "#,
    r#""body" : "\u0041\u00e9\ud83d\udeb2 \ud83d and \"quoted\" \\ \/ \u0007\n\t", "#,
    r#""id" : { "_serialized" : "true_1234567890@c.us_3EB0" }, "type" : "chat", "#,
    r#""from" : "1234567890@c.us", "to" : "0987654321@c.us", "from" : "555@c.us", "#,
    r#""mentionedIds" : [ 1.50, 2E3, null, true, { } ] }, "#,
    r#""event" : "message_create", "extra" : [ [ [ ] ] ] }"#,
);

/// Ingest parameters of a request without an idempotency key.
#[must_use]
pub const fn circumstances() -> Ingest {
    Ingest {
        validation: Validation::Lenient,
        now: NOW,
        idempotency_key: None,
    }
}

/// Returns an accepted event before its first attempt.
///
/// # Errors
/// If `raw` is not an event.
pub fn queued(raw: &str) -> Result<QueuedEvent, Rejection> {
    // Unused: all events here have a time, which determines the id.
    let fresh_id = || EventId::from(Uuid::nil());
    let event = ingest(raw.as_bytes(), circumstances(), fresh_id)?;
    Ok(QueuedEvent {
        key: event.key,
        ..QueuedEvent::new(event.id, event.name, event.body, NOW)
    })
}

/// Returns the canonical body of an event.
///
/// # Errors
/// If `raw` is not an event.
pub fn canonical(raw: &str) -> Result<Bytes, Rejection> {
    Ok(queued(raw)?.body.bytes())
}

/// Returns a signer with one secret of 32 characters.
///
/// # Errors
/// Never: the secret is valid.
pub fn signer() -> anyhow::Result<Signer> {
    let secret = Secret::new("0123456789abcdef0123456789abcdef".to_owned());
    Signer::new(secret?, None).context("cannot build the signer")
}
