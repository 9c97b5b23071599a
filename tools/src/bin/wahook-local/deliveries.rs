//! Formats deliveries as lines, from the test receiver or from the log.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use mongodb::Client;
use mongodb::bson::{DateTime, Document, doc};
use tokio::time::sleep;
use wahook_receiver::Seen;
use wahook_receiver::verify::{Check, Verdict};

use crate::places::setting;

const POLL_EVERY: Duration = Duration::from_millis(500);
/// Overlap of the polls of the log, because attempts are written shortly after they end.
const OVERLAP_MS: i64 = 10_000;

/// Formats a request at the test receiver, with the answer it is about to get.
pub(crate) fn received(seen: &Seen<'_>) -> String {
    let time = Timestamp::from_millisecond(seen.request.arrived.get());
    let attempt = seen.claims.attempt.map(|number| number.to_string());
    line(
        time.unwrap_or(Timestamp::UNIX_EPOCH),
        seen.claims.event.as_deref().unwrap_or("?"),
        seen.claims.id.as_deref().unwrap_or("?"),
        attempt.as_deref().unwrap_or("?"),
        &seen.answer.status.to_string(),
        &verified(seen.verdict),
    )
}

fn verified(verdict: &Verdict) -> String {
    match (&verdict.body_signature, &verdict.standard_webhooks) {
        (Check::Valid, Check::Valid) => "✓ signature".to_owned(),
        (Check::Invalid(fault), Check::Valid) => format!("✗ x-webhook-signature: {fault}"),
        (Check::Valid, Check::Invalid(fault)) => format!("✗ webhook-signature: {fault}"),
        (Check::Invalid(fault), _) | (_, Check::Invalid(fault)) => {
            format!("✗ signatures: {fault}")
        }
        (Check::NoSecret, _) | (_, Check::NoSecret) => "not verified".to_owned(),
    }
}

/// Prints new attempts in the log, for a receiver set by the user. Its check of the signature is
/// not visible here. Returns only with an error.
pub(crate) async fn follow_log(uri: &str) -> anyhow::Result<()> {
    let database = setting("MONGODB_DATABASE").unwrap_or_else(|| "whatsapp-api".to_owned());
    let client = Client::with_uri_str(uri).await?;
    let log = client
        .database(&database)
        .collection::<Document>("webhooklogs");
    let start = Timestamp::now().as_millisecond();
    let mut shown = HashSet::new();
    loop {
        let since = (Timestamp::now().as_millisecond() - OVERLAP_MS).max(start);
        let recent = doc! { "updatedAt": { "$gte": DateTime::from_millis(since) } };
        // Ignored: the log may be unavailable for a while; deliveries continue.
        if let Ok(mut records) = log.find(recent).await {
            while records.advance().await.unwrap_or(false) {
                let record = records.deserialize_current().unwrap_or_default();
                for attempt in attempts(&record, start) {
                    if shown.insert(attempt.clone()) {
                        println!("{attempt}");
                    }
                }
            }
        }
        sleep(POLL_EVERY).await;
    }
}

fn attempts(record: &Document, since: i64) -> Vec<String> {
    let text = |name: &str| record.get_str(name).unwrap_or("?");
    let attempts = record.get_array("attempts").map(Vec::as_slice);
    let attempts = attempts.unwrap_or_default().iter();
    attempts
        .filter_map(|attempt| {
            let attempt = attempt.as_document()?;
            let started = attempt.get_datetime("startedAt").ok()?.timestamp_millis();
            let number = attempt.get("number")?;
            let status = attempt
                .get("statusCode")
                .map_or("-".to_owned(), ToString::to_string);
            let status = if status == "null" { "-" } else { &status };
            let verdict = attempt.get_str("error").unwrap_or("delivered");
            let time = Timestamp::from_millisecond(started).ok()?;
            let number = number.to_string();
            let shown = line(
                time,
                text("event"),
                text("eventId"),
                &number,
                status,
                verdict,
            );
            (started >= since).then_some(shown)
        })
        .collect()
}

fn line(
    time: Timestamp,
    event: &str,
    id: &str,
    attempt: &str,
    status: &str,
    verdict: &str,
) -> String {
    let time = time.strftime("%H:%M:%S%.3fZ");
    format!("{time}  {event:<16}  {id}  attempt {attempt}  {status:>3}  {verdict}")
}
