//! The same event again: answered 200, and not published a second time.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use wahook_tests::pair::{Answered, Pair};
use wahook_tests::program::Program;
use wahook_tests::receiver::Receiver;

use crate::world::{Test, Tests};

const SOON: Duration = Duration::from_secs(5);
const EVENT: &str = r#"{"event":"test"}"#;

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_repeated_event_is_answered_200_and_published_once",
        repeated,
    );
    tests.add("of_many_equal_requests_at_once_one_publishes", at_once);
    tests.add("a_repeat_after_a_failure_publishes", after_failure);
    tests.add("each_line_of_a_batch_can_be_a_duplicate", in_a_batch);
}

#[track_caller]
fn assert_duplicate(answer: &Answered, id: &str) {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let said = answer.json();
    assert_eq!(
        (&said["id"], &said["duplicate"]),
        (&json!(id), &json!(true))
    );
}

/// How many the producer has published, and how many it called duplicates.
async fn counts(pair: &Pair) -> (f64, f64) {
    let counts = pair.producer.metrics().await;
    (
        counts.sum("wahook_publish_confirm_seconds_count"),
        counts.sum("wahook_events_duplicate_total"),
    )
}

async fn repeated(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    // Its id is made of its body.
    let dated = json!({"event": "test", "data": {}, "timestamp": "2024-10-01T12:00:00.000Z"});
    let first = pair.post(&dated).await;
    let id = first.accepted_id();
    assert_eq!(first.json()["duplicate"], Value::Null);
    assert_duplicate(&pair.post(&dated).await, &id);

    let key = [("idempotency-key", "order-17")];
    pair.post_with(&key, EVENT).await.accepted_id();
    assert_duplicate(&pair.post_with(&key, EVENT).await, "order-17");

    // Without a time and a key nothing tells a repeat from another event.
    let one = pair.post_with(&[], EVENT).await.accepted_id();
    assert_ne!(pair.post_with(&[], EVENT).await.accepted_id(), one);

    pair.receiver.wait_for(4, SOON).await;
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
    // No consumer has declared its queue yet: the broker takes no event.
    let producer = Program::producer(&[("AMQP_URL", &test.place().amqp_url)]).await;
    producer.wait_ready(Duration::from_secs(20)).await;
    let http = wahook_tests::http_client::http_client().unwrap();
    let post = || async {
        let url = format!("{}/v1/events", producer.base_url());
        let request = http.post(url).header("idempotency-key", "order-17");
        request.body(EVENT).send().await.unwrap().status()
    };
    for _ in 0..2 {
        assert_eq!(post().await, StatusCode::SERVICE_UNAVAILABLE);
    }
    let pair = test.pair(Receiver::start().await, &[]).await;
    assert_eq!(post().await, StatusCode::ACCEPTED);
    assert_eq!(post().await, StatusCode::OK);
    let posts = pair.receiver.wait_for(1, SOON).await;
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
    let said = |line: &Value| (line["status"].as_u64(), line["duplicate"].as_bool());
    assert_eq!(said(&lines[0]), (Some(200), Some(true)));
    // Which of the two equal ones comes first is the producer's choice.
    let mut equal = [said(&lines[1]), said(&lines[2])];
    equal.sort_unstable();
    assert_eq!(equal, [(Some(200), Some(true)), (Some(202), None)]);
    assert_eq!(lines[1]["id"], lines[2]["id"]);
    assert_eq!(said(&lines[3]), (Some(202), None));
    assert_eq!(counts(&pair).await, (3.0, 2.0));
}
