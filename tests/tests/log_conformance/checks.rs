//! Checks of the log contract.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use wahook_domain::{
    Attempt, AttemptNumber, AttemptResult, DeliveryRecord, EndpointName, EventBody, EventId,
    EventName, Original, Status, UnixMillis,
};

use crate::logs::Readable;

/// 2024-10-01T12:00:00.000Z
pub(crate) const NOON: i64 = 1_727_784_000_000;

fn result(id: &str, number: u32, error: Option<&str>, next: Option<i64>) -> AttemptResult {
    let body = br#"{"event":"message_create","data":{"body":"hi","n":[1,2.5,null]},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
    AttemptResult {
        event_id: EventId::parse(id).unwrap(),
        endpoint: EndpointName::default(),
        event: EventName::parse("message_create").unwrap(),
        body: EventBody::check(Bytes::from_static(body)).unwrap(),
        accepted_at: UnixMillis::new(NOON),
        origin: None,
        original: Original::Same,
        attempt: Attempt {
            queued_at: UnixMillis::new(NOON),
            number: AttemptNumber::new(number).unwrap(),
            started_at: UnixMillis::new(NOON + i64::from(number) * 5_000),
            duration_ms: 12,
            status_code: Some(if error.is_some() { 500 } else { 200 }),
            error: error.map(str::to_owned),
            next_attempt_at: next.map(|after| UnixMillis::new(NOON + after)),
            webhook_url: Arc::from("https://example.test/hook"),
            response: None,
            other_event: false,
        },
    }
}

pub(crate) fn failed(id: &str, number: u32) -> AttemptResult {
    result(
        id,
        number,
        Some("answered 500"),
        Some(i64::from(number) * 6_000),
    )
}

pub(crate) fn exhausted(id: &str, number: u32) -> AttemptResult {
    result(id, number, Some("answered 500"), None)
}

pub(crate) fn delivered(id: &str, number: u32) -> AttemptResult {
    result(id, number, None, None)
}

pub(crate) fn redriven(mut result: AttemptResult) -> AttemptResult {
    result.attempt.queued_at = UnixMillis::new(NOON + 900_000);
    result
}

pub(crate) async fn found(at: &impl Readable, id: &str) -> Option<DeliveryRecord> {
    let id = EventId::parse(id).unwrap();
    let found = at.log().find(&id, &EndpointName::default()).await;
    found.unwrap()
}

pub(crate) async fn write(at: &impl Readable, results: &[AttemptResult]) {
    let report = at.log().write(results).await.unwrap();
    assert_eq!((report.written, report.rejected), (results.len(), 0));
}

pub(crate) async fn written_records_are_found_and_no_others(at: &impl Readable) {
    let results: Vec<_> = (0..300).map(|n| delivered(&format!("e{n}"), 1)).collect();
    write(at, &results).await;
    for result in &results {
        let record = found(at, result.event_id.as_str()).await;
        assert_eq!(record, Some(DeliveryRecord::first(result)));
    }
    assert_eq!(found(at, "e300").await, None);
    assert_eq!(at.count().await, 300);
}

pub(crate) async fn a_record_has_the_documented_fields(at: &impl Readable) {
    write(
        at,
        &[failed("e1", 1), exhausted("e2", 4), delivered("e3", 2)],
    )
    .await;
    let expected = [
        ("e1", "retrying", 500, 0, json!("answered 500")),
        ("e2", "failed", 500, 3, json!("answered 500")),
        ("e3", "success", 200, 1, Value::Null),
    ];
    for (id, status, code, retries, error) in expected {
        let key = format!("{id}/default");
        for (name, value) in [
            ("status", json!(status)),
            ("statusCode", json!(code)),
            ("retryCount", json!(retries)),
            ("errorMessage", error),
            ("event", json!("message_create")),
            ("webhookUrl", json!("https://example.test/hook")),
            ("createdAt", json!(NOON)),
            ("eventId", json!(id)),
            ("endpoint", json!("default")),
            ("timestamp", json!("2024-10-01T12:00:00.000Z")),
        ] {
            assert_eq!(at.field(&key, name).await, value, "{name} of {id}");
        }
    }
    assert_eq!(at.field("e1/default", "completedAt").await, Value::Null);
    let due = at.field("e1/default", "nextAttemptAt").await;
    assert_eq!(due, json!(NOON + 6_000));
    let retried = at.field("e3/default", "lastRetryAt").await;
    assert_eq!(retried, json!(NOON + 10_000));
}

pub(crate) async fn any_order_and_repetition_of_results_gives_the_same_record(at: &impl Readable) {
    // All 24 orders of four results, with the first repeated at the end.
    for order in 0..24_usize {
        let id = format!("order-{order}");
        let mut left = vec![
            failed(&id, 1),
            failed(&id, 2),
            exhausted(&id, 3),
            redriven(delivered(&id, 1)),
        ];
        let mut expected = DeliveryRecord::first(&left[0]);
        left.iter().for_each(|result| expected.merge(result));
        let mut rest = order;
        let mut results = Vec::new();
        for choices in (1..=4).rev() {
            results.push(left.remove(rest % choices));
            rest /= choices;
        }
        results.push(results[0].clone());
        let (one, other) = results.split_at(order % 4);
        write(at, one).await;
        write(at, other).await;
        assert_eq!(found(at, &id).await, Some(expected), "{id}");
        let key = format!("{id}/default");
        assert_eq!(at.field(&key, "status").await, json!("success"));
    }
}

pub(crate) async fn of_very_many_attempts_the_first_newest_and_successful_ones_are_kept(
    at: &impl Readable,
) {
    let last = u32::try_from(DeliveryRecord::MAX_KEPT).unwrap() + 60;
    for (id, success) in [("held", None), ("delivered", Some(70))] {
        let of = |number| match success {
            Some(success) if success == number => delivered(id, number),
            _ => failed(id, number),
        };
        let results: Vec<_> = (1..=last).map(of).collect();
        let mut expected = DeliveryRecord::first(&results[0]);
        results.iter().for_each(|result| expected.merge(result));
        let kept = DeliveryRecord::MAX_KEPT + usize::from(success.is_some());
        assert_eq!(expected.attempts().len(), kept);
        // The newest first, and some twice.
        let newest = results.iter().skip(120).rev();
        for result in newest.chain(&results[40..]).chain(&results) {
            write(at, std::slice::from_ref(result)).await;
        }
        assert_eq!(found(at, id).await, Some(expected));
    }
}

pub(crate) async fn a_delivered_record_stays_delivered(at: &impl Readable) {
    write(at, &[delivered("e1", 2)]).await;
    write(at, &[failed("e1", 1), exhausted("e1", 3)]).await;
    let record = found(at, "e1").await.unwrap();
    assert_eq!(record.status(), Status::Success);
    assert_eq!(record.attempts().len(), 3);
    assert_eq!(at.field("e1/default", "status").await, json!("success"));
    assert_eq!(at.field("e1/default", "retryCount").await, json!(1));
}

pub(crate) async fn a_redriven_delivery_is_retrying_again_and_keeps_its_history(
    at: &impl Readable,
) {
    write(at, &[failed("e1", 1), exhausted("e1", 2)]).await;
    assert_eq!(at.field("e1/default", "status").await, json!("failed"));
    let mut again = redriven(failed("e1", 1));
    again.attempt.next_attempt_at = Some(UnixMillis::new(NOON + 990_000));
    write(at, &[again]).await;
    assert_eq!(at.field("e1/default", "status").await, json!("retrying"));
    assert_eq!(at.field("e1/default", "retryCount").await, json!(0));
    assert_eq!(found(at, "e1").await.unwrap().attempts().len(), 3);
}

pub(crate) async fn each_endpoint_has_a_record_of_its_own(at: &impl Readable) {
    let crm = EndpointName::parse("crm").unwrap();
    let other = AttemptResult {
        endpoint: crm.clone(),
        ..exhausted("e1", 1)
    };
    write(at, &[delivered("e1", 1), other]).await;
    assert_eq!(at.field("e1/default", "status").await, json!("success"));
    assert_eq!(at.field("e1/crm", "status").await, json!("failed"));
    let id = EventId::parse("e1").unwrap();
    let record = at.log().find(&id, &crm).await.unwrap().unwrap();
    assert_eq!(record.status(), Status::Failed);
}

pub(crate) async fn the_payload_equals_the_data_that_was_sent(at: &impl Readable) {
    write(at, &[delivered("e1", 1)]).await;
    let payload = at.field("e1/default", "payload").await;
    assert_eq!(payload["body"], json!("hi"));
    assert_eq!(payload["n"][1], json!(2.5));
    assert_eq!(payload["n"][2], Value::Null);
}

pub(crate) async fn preparing_the_log_again_changes_nothing(at: &impl Readable) {
    write(at, &[delivered("e1", 1)]).await;
    for days in [None, Some(30), Some(30), None] {
        at.log().prepare(days).await.unwrap();
    }
    at.log().ping().await.unwrap();
    assert_eq!(at.count().await, 1);
}
