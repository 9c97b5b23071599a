//! Endpoints that pause: on request, gone, or refusing everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::program::Metrics;
use wahook_tests::receiver::{Answer, Receiver};

use crate::refusals::{DEAD, batch};
use crate::system::System;

fn system(receiver: &Receiver, settings: &str) -> System {
    let url = receiver.url();
    let endpoint = format!("[[endpoint]]\nname = \"crm\"\nurl = \"{url}\"\n{settings}\n");
    System::with_endpoints(receiver, &endpoint)
}

async fn wait_metrics(system: &System, what: &str, is_right: impl Fn(&Metrics) -> bool) {
    eventually(AT_LAST, what, async || {
        is_right(&system.metrics().await).then_some(())
    })
    .await;
}

fn is_paused(metrics: &Metrics) -> bool {
    metrics.sum("wahook_circuit_open") == 1.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_requested_wait_holds_deliveries_and_probes() {
    let first = AtomicBool::new(true);
    let receiver = Receiver::answering(move |_| {
        if first.swap(false, Ordering::Relaxed) {
            Answer::status(503).header("retry-after", "12")
        } else {
            Answer::status(200)
        }
    });
    let receiver = receiver.await;
    let system = system(&receiver, "concurrency = 1\ncircuit = false");
    let _program = system.start().await;
    batch(&system, "message_ack", 1).await;
    wait_metrics(&system, "a pause", is_paused).await;
    batch(&system, "message_ack", 20).await;
    let posts = receiver.wait_for(22, Duration::from_secs(60)).await;
    let gap = posts[1].arrived - posts[0].arrived;
    assert!(gap >= Duration::from_secs(12), "{gap:?}");
    assert!(posts.iter().all(|post| post.attempt() == Some(1)));
    assert_eq!(system.count(DEAD), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_endpoint_is_paused_after_a_few_events() {
    let receiver = Receiver::answering(|_| Answer::status(410)).await;
    let system = system(&receiver, "concurrency = 1\nretry_delay = 100");
    let program = system.start().await;
    batch(&system, "message_ack", 50).await;
    wait_metrics(&system, "a pause", is_paused).await;
    eventually(AT_LAST, "dead letters", async || {
        (system.count(DEAD) >= 4).then_some(())
    })
    .await;
    let dead = system.count(DEAD);
    assert!(dead <= 5, "{dead} dead letters");
    let queued = "SELECT count(*) FROM messages WHERE queue = 'wahook.deliver.crm'";
    assert!(system.count(queued) >= 40, "the others stay in the queue");
    let attempts = receiver.posts().iter().map(|post| post.attempt()).max();
    assert_eq!(attempts, Some(Some(1)), "no event is retried");
    program.wait_logged("answered 410").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_refuses_everything_is_paused_and_resumes() {
    let status = Arc::new(AtomicU16::new(404));
    let answers = Arc::clone(&status);
    let receiver =
        Receiver::answering(move |_| Answer::status(answers.load(Ordering::Relaxed))).await;
    let system = system(
        &receiver,
        "retry_delay = 3000\ncircuit = { failures = 5, window = 4000 }",
    );
    let _program = system.start().await;
    batch(&system, "message_ack", 60).await;
    wait_metrics(&system, "a pause", is_paused).await;
    wait_metrics(&system, "two probes", |metrics| {
        metrics.sum("wahook_probes_total") >= 2.0
    })
    .await;
    let refused = receiver.posts();
    let ids: Vec<_> = refused.iter().rev().take(2).map(|post| post.id()).collect();
    assert_ne!(ids[0], ids[1], "probes are made with different events");
    receiver.forget();
    status.store(200, Ordering::Relaxed);
    receiver
        .wait_until("all events", AT_LAST, |posts| posts.len() >= 60)
        .await;
    assert_eq!(system.count(DEAD), 0);
}
