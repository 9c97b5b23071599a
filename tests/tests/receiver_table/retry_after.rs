//! `Retry-After` of the receiver.

use std::time::{Duration, SystemTime};

use mongodb::bson::Document;
use serde_json::json;
use wahook_tests::raw_receiver::{RawReceiver, Step};
use wahook_tests::world::{Test, Tests};

use crate::ending::pair_to;
use crate::rows::whole;

pub(crate) fn add(tests: &mut Tests) {
    tests.add("retry_after_is_respected_within_bounds", respected);
}

/// Event names, the answer to each, and the expected delay in seconds.
fn cases() -> Vec<(&'static str, Step, i64)> {
    let busy = |wait: &str| whole("429 Slow Down", &format!("Retry-After: {wait}\r\n"));
    vec![
        ("seven", busy("7"), 30),
        ("date", busy(&in_50_seconds()), 60),
        ("negative", busy("-1"), 1),
        ("enormous", busy("1000000000000"), 300),
        ("nonsense", busy("soon"), 1),
        ("unavailable", whole("503 Away", ""), 1),
        (
            "unavailable_for_a_while",
            whole("503 Away", "Retry-After: 90\r\n"),
            120,
        ),
        ("gone", whole("410 Gone", "Retry-After: 90\r\n"), 1),
    ]
}

fn in_50_seconds() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "clock of the receiver, not of the programs"
    )]
    let now = SystemTime::now();
    httpdate::fmt_http_date(now + Duration::from_secs(50))
}

async fn respected(test: Test) {
    let cases = cases();
    let script = cases.clone();
    let answer = move |event: &str| {
        let case = script.iter().find(|(name, ..)| *name == event);
        vec![case.unwrap().1.clone()]
    };
    let receiver = RawReceiver::answering(answer).await;
    let settings = [
        ("WEBHOOK_RETRY_ATTEMPTS", "1"),
        ("WEBHOOK_RETRY_DELAY", "1000"),
    ];
    let pair = pair_to(&test, &receiver.url(), &settings).await;
    for (name, _, wait) in cases {
        let id = pair.post(&json!({"event": name})).await.accepted_id();
        let first = |record: &Document| record.get_datetime("nextAttemptAt").is_ok();
        let record = pair.wait_record(&id, Duration::from_secs(5), first).await;
        let millis = |key| record.get_datetime(key).unwrap().timestamp_millis();
        let waits = millis("nextAttemptAt") - millis("updatedAt");
        assert_eq!(waits, wait * 1_000, "{name}: {record}");
    }
}
