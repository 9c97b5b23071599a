//! Shutdown in two steps, without losses.

use std::time::{Duration, Instant};

use serde_json::json;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::receiver::{Answer, Receiver};

use crate::world::{Test, Tests};

/// Delay of an answer for which a stop does not wait, less than the time limit of an attempt.
const NOT_AWAITED: Duration = Duration::from_secs(25);
/// Time limit of a stop that does not wait for answers.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_stop_finishes_deliveries_in_flight_and_exits_with_0",
        soft,
    );
    tests.add(
        "a_second_signal_stops_at_once_and_the_event_is_delivered_later",
        hard,
    );
    tests.add("an_expired_grace_period_stops_the_consumer", grace);
    tests.add("an_interrupted_producer_exits_with_0", producer);
}

fn slow(delay: Duration) -> impl Future<Output = Receiver> {
    Receiver::answering(move |_| Answer::status(200).after(delay))
}

async fn soft(test: Test) {
    let pair = test.pair(slow(Duration::from_secs(2)).await, &[]).await;
    let id = pair.post(&json!({"event": "test"})).await.accepted_id();
    pair.receiver.wait_for(1, AT_LAST).await;
    let consumer = pair.take_consumer();
    consumer.terminate();
    assert_eq!(consumer.wait_exit(AT_LAST).await.code(), Some(0));
    // The message is acknowledged: another consumer does not get it. It logs what the first could
    // not write in time.
    pair.add_consumer().await;
    pair.wait_record(&id, AT_LAST, |record| {
        record.get_str("status").ok() == Some("success")
    })
    .await;
    let other = pair.post(&json!({"event": "test"})).await.accepted_id();
    let posts = pair.receiver.wait_for(2, AT_LAST).await;
    assert_eq!(posts[1].id(), Some(other.as_str()));
}

async fn hard(test: Test) {
    let pair = test.pair(slow(NOT_AWAITED).await, &[]).await;
    let id = pair.post(&json!({"event": "test"})).await.accepted_id();
    pair.receiver.wait_for(1, AT_LAST).await;
    let consumer = pair.take_consumer();
    let start = Instant::now();
    consumer.terminate();
    consumer.interrupt();
    consumer.wait_exit(AT_LAST).await;
    assert!(start.elapsed() < STOPPED_WITHIN);
    pair.add_consumer().await;
    let posts = pair.receiver.wait_for(2, AT_LAST).await;
    assert_eq!(
        posts[1].id(),
        Some(id.as_str()),
        "the broker delivers it again"
    );
}

async fn grace(test: Test) {
    let settings = [("SHUTDOWN_GRACE", "1")];
    let pair = test.pair(slow(NOT_AWAITED).await, &settings).await;
    pair.post(&json!({"event": "test"})).await.accepted_id();
    pair.receiver.wait_for(1, AT_LAST).await;
    let consumer = pair.take_consumer();
    let start = Instant::now();
    consumer.terminate();
    assert_eq!(consumer.wait_exit(AT_LAST).await.code(), Some(0));
    assert!(start.elapsed() < STOPPED_WITHIN);
}

async fn producer(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    pair.post(&json!({"event": "test"})).await.accepted_id();
    pair.producer.interrupt();
    assert_eq!(pair.producer.wait_exit(AT_LAST).await.code(), Some(0));
}
