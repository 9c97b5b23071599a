//! Metrics of the data file.

use std::time::Duration;

use serde_json::json;
use wahook_tests::eventually::eventually;
use wahook_tests::http_client::http_client;
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_show_queues_waiting_events_dead_letters_and_the_file() {
    let receiver = Receiver::answering(|post| match post.header("x-webhook-event") {
        Some("held") => Answer::silence(),
        _ => Answer::status(400),
    });
    let receiver = receiver.await;
    let retries = [
        ("WEBHOOK_RETRY_ATTEMPTS", "1"),
        ("WEBHOOK_RETRY_DELAY", "3600000"),
    ];
    let system = System::new(&receiver, &retries);
    let program = system.start().await;
    let http = http_client().unwrap();
    for name in ["held", "held", "refused"] {
        let post = http.post(format!("{}/v1/events", system.events));
        let post = post.header("content-type", "application/json");
        let answer = post.body(json!({"event": name}).to_string()).send().await;
        assert_eq!(answer.unwrap().status().as_u16(), 202);
    }
    let metrics = eventually(SOON, "the numbers of the file", || async {
        let metrics = system.metrics().await;
        let queued = [("queue", "wahook.deliver.default")];
        let are_counted = metrics.sum_where("wahook_store_queued", &queued) == 2.0
            && metrics.sum("wahook_store_waiting") == 1.0;
        are_counted.then_some(metrics)
    })
    .await;
    drop(program);
    assert_eq!(metrics.get("wahook_store_dead_letters"), Some(0.0));
    assert!(metrics.get("wahook_store_file_bytes") > Some(0.0));
}
