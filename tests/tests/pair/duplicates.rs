//! Repeated events are answered 200 and not published again.

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::pair::{Answered, Pair};
use wahook_tests::program::Program;
use wahook_tests::receiver::Receiver;

use crate::world::{Test, Tests};

const EVENT: &str = r#"{"event":"test"}"#;

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_repeated_event_is_answered_200_and_published_once",
        repeated,
    );
    tests.add("a_key_of_another_event_is_refused", key_of_another_event);
    tests.add("concurrent_equal_requests_publish_once", at_once);
    tests.add("a_repeat_after_a_failure_is_published", after_failure);
    tests.add("duplicate_lines_of_a_batch_are_answered_200", in_a_batch);
}

#[track_caller]
fn assert_duplicate(answer: &Answered, id: &str) {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let body = answer.json();
    assert_eq!(
        (&body["id"], &body["duplicate"]),
        (&json!(id), &json!(true))
    );
}

/// Returns the numbers of published events and of duplicates.
async fn counts(pair: &Pair) -> (f64, f64) {
    let counts = pair.producer.metrics().await;
    (
        counts.sum("wahook_publish_confirm_seconds_count"),
        counts.sum("wahook_events_duplicate_total"),
    )
}

async fn key_of_another_event(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    // An id of a WhatsApp message.
    let key = [("idempotency-key", "true_4915112345678@c.us_3EB0:97=")];
    let id = pair.post_with(&key, EVENT).await.accepted_id();
    let other = r#"{"event":"test","data":{"n":2}}"#;
    let refused = pair.post_with(&key, other).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let problem = refused.json()["type"].as_str().unwrap().to_owned();
    assert!(problem.ends_with("idempotency-key-reused"), "{problem}");
    assert_duplicate(&pair.post_with(&key, EVENT).await, &id);
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    assert_eq!(posts[0].id(), Some(id.as_str()));
    assert_eq!(counts(&pair).await, (1.0, 1.0));
}

async fn repeated(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    // The id of an event with a timestamp is derived from its body.
    let dated = json!({"event": "test", "data": {}, "timestamp": "2024-10-01T12:00:00.000Z"});
    let first = pair.post(&dated).await;
    let id = first.accepted_id();
    assert_eq!(first.json()["duplicate"], Value::Null);
    assert_duplicate(&pair.post(&dated).await, &id);

    let key = [("idempotency-key", "order-17")];
    pair.post_with(&key, EVENT).await.accepted_id();
    assert_duplicate(&pair.post_with(&key, EVENT).await, "order-17");

    // Without a timestamp and a key a repeat cannot be recognized.
    let one = pair.post_with(&[], EVENT).await.accepted_id();
    assert_ne!(pair.post_with(&[], EVENT).await.accepted_id(), one);

    pair.receiver.wait_for(4, AT_LAST).await;
    assert_eq!(counts(&pair).await, (4.0, 2.0));
}

async fn at_once(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let key = [("idempotency-key", "order-17")];
    let answers = join_all((0..50).map(|_| pair.post_with(&key, EVENT))).await;
    let statuses = |wanted| answers.iter().filter(|a| a.status == wanted).count();
    assert_eq!(
        (statuses(StatusCode::ACCEPTED), statuses(StatusCode::OK)),
        (1, 49)
    );
    assert_eq!(counts(&pair).await, (1.0, 49.0));
}

async fn after_failure(test: Test) {
    // No consumer has declared its queue yet: the broker accepts no event.
    let producer = Program::producer(&[("AMQP_URL", &test.place().amqp_url)]).await;
    producer.wait_ready(AT_LAST).await;
    let http = wahook_tests::http_client::http_client().unwrap();
    let post = || async {
        let url = format!("{}/v1/events", producer.base_url());
        let request = http.post(url).header("idempotency-key", "order-17");
        let request = request.header("content-type", "application/json");
        request.body(EVENT).send().await.unwrap().status()
    };
    for _ in 0..2 {
        assert_eq!(post().await, StatusCode::SERVICE_UNAVAILABLE);
    }
    let pair = test.pair(Receiver::start().await, &[]).await;
    assert_eq!(post().await, StatusCode::ACCEPTED);
    assert_eq!(post().await, StatusCode::OK);
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    assert_eq!(posts[0].id(), Some("order-17"));
}

async fn in_a_batch(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let event = |n| json!({"event": "test", "data": {"n": n}, "timestamp": "2024-10-01"});
    pair.post(&event(1)).await.accepted_id();
    let batch = [event(1), event(2), event(2), event(3)].map(|event| event.to_string());
    let media_type = [("content-type", "application/x-ndjson")];
    let answer = pair.post_with(&media_type, batch.join("\n")).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let lines: Vec<Value> = answer
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let outcome = |line: &Value| (line["status"].as_u64(), line["duplicate"].as_bool());
    assert_eq!(outcome(&lines[0]), (Some(200), Some(true)));
    // The producer processes the two equal lines in any order.
    let mut equal = [outcome(&lines[1]), outcome(&lines[2])];
    equal.sort_unstable();
    assert_eq!(equal, [(Some(200), Some(true)), (Some(202), None)]);
    assert_eq!(lines[1]["id"], lines[2]["id"]);
    assert_eq!(outcome(&lines[3]), (Some(202), None));
    assert_eq!(counts(&pair).await, (3.0, 2.0));
}
