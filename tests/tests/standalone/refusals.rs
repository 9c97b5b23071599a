//! Endpoints that refuse some events or limit their rate, with the data file.

use std::time::Duration;

use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::rate_limited::rate_limited;
use wahook_tests::receiver::{Answer, Receiver};
use wahook_tests::retry_waits::{assert_spread, refusing_first_attempts};

use crate::system::System;

pub(crate) const DEAD: &str = "SELECT count(*) FROM messages WHERE queue = 'wahook.dead'";

pub(crate) async fn batch(system: &System, event: &str, count: usize) {
    let lines: Vec<_> = (0..count)
        .map(|n| json!({"event": event, "data": {"n": n}}).to_string())
        .collect();
    let http = http_client().unwrap();
    let request = http.post(format!("{}/v1/events", system.events));
    let request = request.header("content-type", "application/x-ndjson");
    let answer = request.body(lines.join("\n")).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    answer.bytes().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_the_endpoint_takes_are_delivered_while_it_refuses_others() {
    let receiver = Receiver::answering(|post| {
        let is_taken = post.event() == Some("message_create");
        Answer::status(if is_taken { 200 } else { 404 })
    });
    let receiver = receiver.await;
    let system = System::new(
        &receiver,
        &[("WEBHOOK_RETRY_SCHEDULE", "100ms,200ms,400ms")],
    );
    let _program = system.start().await;
    for round in 1..=30 {
        batch(&system, "message_ack", 9).await;
        batch(&system, "message_create", 1).await;
        receiver
            .wait_until("the event that it takes", AT_LAST, |posts| {
                let taken = posts
                    .iter()
                    .filter(|post| post.event() == Some("message_create"));
                taken.count() == round
            })
            .await;
        if round == 15 {
            eventually(AT_LAST, "dead letters", || async {
                (system.count(DEAD) >= 30).then_some(())
            })
            .await;
        }
    }
    eventually(AT_LAST, "all dead letters", || async {
        (system.count(DEAD) == 30 * 9).then_some(())
    })
    .await;
    let metrics = system.metrics().await;
    assert_eq!(metrics.sum("wahook_circuit_opened_total"), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_limited_endpoint_receives_every_event_at_its_first_attempt() {
    let receiver = Receiver::answering(rate_limited(30.0)).await;
    let system = System::new(&receiver, &[("WEBHOOK_RETRY_ATTEMPTS", "0")]);
    let _program = system.start().await;
    batch(&system, "message_ack", 200).await;
    let delivered = "SELECT count(*) FROM webhooklogs WHERE status = 'success'";
    eventually(
        Duration::from_secs(120),
        "every event delivered",
        || async { (system.count(delivered) == 200).then_some(()) },
    )
    .await;
    assert_eq!(system.count(DEAD), 0);
    let posts = receiver.posts();
    assert!(posts.iter().all(|post| post.attempt() == Some(1)));
    let logged = "SELECT sum(json_array_length(attempts)) FROM webhooklogs";
    eventually(AT_LAST, "every attempt in the log", || async {
        (system.count(logged) == posts.len() as i64).then_some(())
    })
    .await;
    let metrics = system.metrics().await;
    // A busy machine may stay below the limit. Events that wait while the endpoint is slowed
    // down are put back without an attempt.
    let refused = posts.len() - 200;
    let republished = metrics.sum("wahook_events_put_back_total");
    assert!(republished >= refused as f64, "{republished} of {refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_of_many_events_are_spread_and_never_early() {
    let receiver = refusing_first_attempts().await;
    let system = System::new(&receiver, &[("WEBHOOK_RETRY_DELAY", "5000")]);
    let _program = system.start().await;
    batch(&system, "message_ack", 100).await;
    let posts = receiver.wait_for(200, Duration::from_secs(60)).await;
    assert_spread(&posts, Duration::from_secs(5));
}
