//! `Retry-After` of the receiver.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use mongodb::bson::Document;
use serde_json::json;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::raw_receiver::{RawReceiver, Step};
use wahook_tests::world::{Test, Tests};

use crate::ending::pair_to;
use crate::rows::whole;

pub(crate) fn add(tests: &mut Tests) {
    for (name, answer, wait) in cases() {
        tests.add(format!("retry_after_{name}_is_respected"), move |test| {
            respected(test, answer, wait)
        });
    }
}

/// Names, answers, and the expected waits in seconds. A wait without a valid header is
/// that of the endpoint's rate, or of the retry.
fn cases() -> Vec<(&'static str, Step, RangeInclusive<i64>)> {
    let busy = |wait: &str| whole("429 Slow Down", &format!("Retry-After: {wait}\r\n"));
    let away = |headers: &str| whole("503 Away", headers);
    vec![
        ("seven", busy("7"), 6..=7),
        ("date", busy(&in_fifty_minutes()), 400..=3_000),
        ("negative", busy("-1"), 0..=1),
        ("enormous", busy("1000000000000"), 3_595..=3_600),
        ("nonsense", busy("soon"), 0..=1),
        ("unavailable", away(""), 30..=30),
        (
            "unavailable_for_a_while",
            away("Retry-After: 90\r\n"),
            85..=90,
        ),
    ]
}

/// The date is computed before the rows start.
fn in_fifty_minutes() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "clock of the receiver, not of the programs"
    )]
    let now = SystemTime::now();
    httpdate::fmt_http_date(now + Duration::from_secs(3_000))
}

async fn respected(test: Test, answer: Step, wait: RangeInclusive<i64>) {
    let receiver = RawReceiver::answering(move |_| vec![answer.clone()]).await;
    let settings = [
        ("WEBHOOK_RETRY_ATTEMPTS", "1"),
        ("WEBHOOK_RETRY_DELAY", "30000"),
    ];
    let pair = pair_to(&test, &receiver.url(), &settings).await;
    let id = pair.post(&json!({"event": "busy"})).await.accepted_id();
    let first = |record: &Document| record.get_datetime("nextAttemptAt").is_ok();
    let record = pair.wait_record(&id, AT_LAST, first).await;
    let millis = |key| record.get_datetime(key).unwrap().timestamp_millis();
    let waits = (millis("nextAttemptAt") - millis("updatedAt")) / 1_000;
    assert!(wait.contains(&waits), "{waits} s: {record}");
}
