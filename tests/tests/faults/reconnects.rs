//! Requests in flight while the consumer's connection is replaced.

use std::collections::BTreeMap;

use serde_json::json;
use tokio::sync::watch;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Servers;
use wahook_tests::receiver::{Answer, Post, Receiver};

const EVENTS: u32 = 40;
const WORK_QUEUE: &str = "wahook.deliver.default";

/// The broker redelivers the messages of a lost connection, also those whose requests wait for
/// their answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_flight_is_not_repeated_on_the_next_connection() {
    let servers = Servers::start().await;
    let (release, released) = watch::channel(false);
    let answer = move |post: &Post| {
        let fails = post.attempt() == Some(1) && post.id().is_some_and(|id| id.ends_with('7'));
        let answer = Answer::status(if fails { 500 } else { 200 });
        answer.after(AT_LAST).until(released.clone())
    };
    let timeout = ("WEBHOOK_TIMEOUT", "180000");
    let pair = servers
        .pair(Receiver::answering(answer).await, &[timeout])
        .await;
    let consumer = pair.take_consumer();
    for n in 0..EVENTS {
        let key = format!("in-flight-{n}");
        let event = json!({"event": "call"}).to_string();
        let answered = pair.post_with(&[("idempotency-key", &key)], event).await;
        answered.accepted_id();
    }
    eventually(AT_LAST, "requests in flight", || async {
        (consumer.metrics().await.sum("wahook_deliveries_in_flight") == f64::from(EVENTS))
            .then_some(())
    })
    .await;
    let close = ["close_all_connections", "closed by the test"];
    servers.rabbitmq.ctl(&close).await.unwrap();
    eventually(AT_LAST, "redelivered messages", || async {
        let depths = servers.rabbitmq.queue_depths().await;
        let metrics = consumer.metrics().await;
        let consuming = [("connection", "consume")];
        let is_replaced = metrics.sum_where("wahook_reconnects_total", &consuming) >= 1.0;
        (is_replaced && depths.get(WORK_QUEUE) == Some(&(0, EVENTS.into()))).then_some(())
    })
    .await;
    release.send_replace(true);
    for n in 0..EVENTS {
        pair.wait_record(&format!("in-flight-{n}"), AT_LAST, |record| {
            record.get_str("status").ok() == Some("success")
        })
        .await;
    }
    eventually(AT_LAST, "an empty queue", || async {
        let depths = servers.rabbitmq.queue_depths().await;
        (depths.get(WORK_QUEUE) == Some(&(0, 0))).then_some(())
    })
    .await;
    let mut posts: BTreeMap<_, u32> = BTreeMap::new();
    for post in pair.receiver.posts() {
        let attempt = (post.id().map(str::to_owned), post.attempt());
        *posts.entry(attempt).or_default() += 1;
    }
    posts.retain(|_, count| *count > 1);
    assert!(posts.is_empty(), "repeated: {posts:#?}");
    let metrics = consumer.metrics().await;
    let skipped = [("action", "skipped")];
    let skipped = metrics.sum_where("wahook_events_redelivered_total", &skipped);
    assert_eq!(skipped, f64::from(EVENTS));
}
