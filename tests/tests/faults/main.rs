//! No losses when a part of the system fails under load. Each test has its own servers,
//! because it kills them.

mod forgotten;
mod late_answers;
mod oracle;
mod reconnects;
mod replica_set;
mod returns;
mod spool;
mod timeouts;
mod users;

use std::time::Duration;

use oracle::{assert_all_arrived, assert_all_logged};
use reqwest::StatusCode;
use serde_json::json;
use tokio::time::sleep;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::load::Load;
use wahook_tests::pair::{Answered, Pair, Servers};
use wahook_tests::receiver::{Answer, Post, Receiver};

/// Time from the declaration of a quorum queue to a kill. The node writes its table of queues
/// with a delay: after an earlier kill a queue can be empty, or without a leader until the next
/// restart of the broker, independent of the programs under test.
const BROKER_SETTLES: Duration = Duration::from_secs(20);

/// Fails the first attempt of every third event, so that the wait queues are never empty.
fn some_fail(post: &Post) -> Answer {
    let n = post
        .body
        .iter()
        .filter(|b| b.is_ascii_digit())
        .fold(0, |sum, b| sum + u32::from(b - b'0'));
    let fails = post.attempt() == Some(1) && n % 3 == 0;
    Answer::status(if fails { 500 } else { 200 })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::await_holding_lock,
    reason = "no other task takes the lock meanwhile"
)]
async fn three_consumers_share_the_work_and_a_kill_9_of_one_loses_nothing() {
    let servers = Servers::start().await;
    let answers = Receiver::answering(|_| Answer::status(200).after(Duration::from_millis(5)));
    let pair = servers
        .pair(answers.await, &[("WEBHOOK_CONCURRENCY", "8")])
        .await;
    pair.add_consumer().await;
    pair.add_consumer().await;
    let load = Load::start(&pair.producer, 64, Duration::ZERO, 6_000);
    pair.receiver.wait_for(1_500, AT_LAST).await;
    let victim = pair.take_consumer();
    for consumer in pair.consumers.lock().unwrap().iter().chain([&victim]) {
        let delivered = consumer.metrics().await.sum("wahook_deliveries_total");
        assert!(
            delivered > 100.0,
            "a consumer has delivered only {delivered} of 1,500"
        );
    }
    victim.kill9().await;
    let accepted = load.finish().await;
    assert!(accepted.len() > 5_000, "{} accepted", accepted.len());
    assert_all_arrived(&servers, &pair, &accepted, AT_LAST).await;
    assert_all_logged(&pair, &accepted, AT_LAST).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_9_of_the_broker_under_load_loses_no_accepted_event() {
    let servers = Servers::start().await;
    let pair = servers
        .pair(Receiver::answering(some_fail).await, &[])
        .await;
    sleep(BROKER_SETTLES).await;
    let load = Load::start(&pair.producer, 16, Duration::from_millis(20), 200_000);
    for _ in 0..2 {
        let enough = load.accepted() + 1_500;
        eventually(AT_LAST, "load", || async {
            (load.accepted() > enough).then_some(())
        })
        .await;
        servers.rabbitmq.kill9().await;
        eventually(AT_LAST, "a refused event", || async {
            (load.refused() > 0).then_some(())
        })
        .await;
        servers.rabbitmq.restart().await;
        let after = load.accepted();
        eventually(AT_LAST, "accepted events after the restart", || async {
            (load.accepted() > after).then_some(())
        })
        .await;
    }
    let accepted = load.stop().await;
    assert_all_arrived(&servers, &pair, &accepted, AT_LAST).await;
    assert_all_logged(&pair, &accepted, AT_LAST).await;
    let reconnects = pair.producer.metrics().await.sum("wahook_reconnects_total");
    assert!(reconnects >= 2.0, "{reconnects} reconnects");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mongodb_frozen_for_20_s_stops_no_delivery_and_everything_is_logged_afterwards() {
    let servers = Servers::start().await;
    let pair = servers
        .pair(Receiver::answering(some_fail).await, &[])
        .await;
    let load = Load::start(&pair.producer, 8, Duration::from_millis(20), 20_000);
    eventually(AT_LAST, "load", || async {
        (load.accepted() > 500).then_some(())
    })
    .await;
    servers.mongod.freeze();
    // Deliveries pause for the 2 s timeout of the log, then continue without it.
    sleep(Duration::from_secs(20)).await;
    let before = pair.receiver.count();
    pair.receiver.wait_for(before + 300, AT_LAST).await;
    servers.mongod.thaw();
    let accepted = load.stop().await;
    assert_all_arrived(&servers, &pair, &accepted, AT_LAST).await;
    assert_all_logged(&pair, &accepted, AT_LAST).await;
    let consumer = pair.take_consumer();
    consumer
        .wait_metrics("every spilled result is drained", AT_LAST, |m| {
            let path = |path| m.sum_where("wahook_log_results_total", &[("path", path)]);
            let is_drained = path("spilled") > 0.0 && path("drained") >= path("spilled");
            is_drained && m.sum("wahook_log_available") == 1.0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_a_broker_alarm_the_producer_answers_503_and_the_consumer_continues() {
    let servers = Servers::start().await;
    let receiver = Receiver::answering(|_| Answer::status(200).after(Duration::from_millis(200)));
    let pair = servers
        .pair(receiver.await, &[("WEBHOOK_CONCURRENCY", "4")])
        .await;
    let load = Load::start(&pair.producer, 32, Duration::ZERO, 200);
    let accepted = load.finish().await;
    servers
        .rabbitmq
        .ctl(&["set_vm_memory_high_watermark", "0"])
        .await
        .unwrap();
    // The broker reports that it blocks only after a publish.
    post_until(&pair, |answer| {
        answer.body.contains("urn:wahook:problem:broker-blocked")
    })
    .await;
    // 200 events take 10 s at 20 a second: most are delivered and acknowledged under the alarm.
    let consumer = pair.take_consumer();
    consumer
        .wait_metrics("all delivered", AT_LAST, |m| {
            m.sum_where("wahook_deliveries_total", &[("result", "delivered")]) >= 200.0
        })
        .await;
    assert_all_arrived(&servers, &pair, &accepted, AT_LAST).await;
    eventually(
        AT_LAST,
        "an empty queue; acks must work during an alarm",
        || async {
            let depths = servers.rabbitmq.queue_depths().await;
            (depths["wahook.deliver.default"] == (0, 0)).then_some(())
        },
    )
    .await;
    servers
        .rabbitmq
        .ctl(&["set_vm_memory_high_watermark", "0.4"])
        .await
        .unwrap();
    post_until(&pair, |answer| answer.status == StatusCode::ACCEPTED).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_producer_answers_503_while_the_broker_is_down_and_202_afterwards() {
    let servers = Servers::start().await;
    let pair = servers.pair(Receiver::start().await, &[]).await;
    sleep(BROKER_SETTLES).await;
    servers.rabbitmq.kill9().await;
    let refused = |answer: &Answered| answer.status == StatusCode::SERVICE_UNAVAILABLE;
    let problem = post_until(&pair, refused).await.json();
    assert!(
        problem["id"].is_string(),
        "a repeat needs the id: {problem}"
    );
    let http = wahook_tests::http_client::http_client().unwrap();
    let probe = |path: &str| {
        http.get(format!("{}{path}", pair.producer.base_url()))
            .send()
    };
    eventually(AT_LAST, "a producer that is not ready", || async {
        (probe("/readyz").await.unwrap().status() == 503).then_some(())
    })
    .await;
    assert_eq!(probe("/livez").await.unwrap().status(), 200);
    servers.rabbitmq.restart().await;
    let id = post_until(&pair, |answer| answer.status == StatusCode::ACCEPTED)
        .await
        .accepted_id();
    pair.wait_record(&id, AT_LAST, |_| true).await;
}

/// Posts events until an answer matches `is_right`.
async fn post_until(pair: &Pair, is_right: impl Fn(&Answered) -> bool) -> Answered {
    eventually(AT_LAST, "the expected answer", || async {
        Some(pair.post(&json!({"event": "test"})).await).filter(&is_right)
    })
    .await
}
