//! Large events, and events that would need much memory.

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::http_client::http_client;
use wahook_tests::program::Program;
use wahook_tests::receiver::Receiver;

use crate::system::System;

async fn send(url: String, body: String) -> (StatusCode, Value) {
    let request = http_client().unwrap().post(url);
    let request = request.header("content-type", "application/json");
    let answer = request.body(body).send().await.unwrap();
    let status = answer.status();
    (
        status,
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_large_events_at_once_are_accepted() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let _program = system.start().await;
    // A photo or video as base64.
    let media = "QUJD".repeat((11 << 20) / 4);
    let url = format!("{}/v1/events", system.events);
    let sent = (0..4).map(|n| {
        let event = json!({"event": "message_create", "data": {"n": n, "media": media}});
        send(url.clone(), event.to_string())
    });
    for (status, answer) in join_all(sent).await {
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    }
    receiver.wait_for(4, AT_LAST).await;
}

async fn peak_memory_mib(program: &Program) -> u64 {
    let status = tokio::fs::read_to_string(format!("/proc/{}/status", program.pid())).await;
    let status = status.unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib >> 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_of_many_small_values_is_refused_before_it_is_parsed() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let program = system.start().await;
    let zeros = "0,".repeat(7_800_000);
    let event = format!(r#"{{"event":"test","data":{{"a":[{zeros}0]}}}}"#);
    let before = peak_memory_mib(&program).await;
    let url = format!("{}/v1/events", system.events);
    let (status, answer) = send(url, event).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{answer}");
    let detail = answer["detail"].as_str().unwrap();
    assert!(detail.contains("PRODUCER_MEMORY_BUDGET_BYTES"), "{detail}");
    let grown = peak_memory_mib(&program).await - before;
    eprintln!("15 MiB of zeros: {grown} MiB more at the peak");
    assert!(grown < 64, "{grown} MiB");
}
