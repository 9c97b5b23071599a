//! Metrics of the data file, and the number of series.

use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::hundred_endpoints::{
    EACH, ENDPOINTS, EVENTS, MOST_SERIES, file, receiver, series_when_all_are_busy,
};
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

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
    let metrics = eventually(AT_LAST, "the numbers of the file", || async {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_busy_endpoints_with_ten_retries_have_few_series() {
    let receiver = receiver().await;
    let system = System::with_endpoints(&receiver, &file(&receiver));
    let _program = system.start().await;
    for event in EVENTS {
        for _ in 0..EACH {
            system.send(event).await;
        }
    }
    let busy = series_when_all_are_busy(async || system.metrics().await).await;
    eprintln!("{ENDPOINTS} endpoints in one process: {busy} series when all are busy");
    assert!(busy < MOST_SERIES, "{busy}");
}
