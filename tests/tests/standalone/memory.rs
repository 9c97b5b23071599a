//! Memory of the process while large events wait.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use wahook_tests::eventually::eventually;
use wahook_tests::http_client::http_client;
use wahook_tests::process::memory;
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const EVENTS: usize = 400;
const LIMIT_KIB: u64 = 200 << 10;
const WHILE_DELIVERED: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_events_of_1_mb_are_delivered_within_the_memory_limit() {
    let ids = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = Arc::clone(&ids);
    // Slower than the events arrive, so that they wait.
    let receiver = Receiver::answering(move |post| {
        seen.lock().unwrap().extend(post.id().map(str::to_owned));
        Answer::status(200).after(Duration::from_secs(2))
    });
    let receiver = receiver.await;
    let system = System::new(&receiver, &[]);
    let program = system.start().await;
    let (http, media) = (http_client().unwrap(), "x".repeat(1_000_000));
    for number in 0..EVENTS {
        let event = json!({"event": "media", "data": {"number": number, "media": media}});
        let post = http.post(format!("{}/v1/events", system.events));
        let post = post.header("content-type", "application/json");
        let answer = post.body(event.to_string()).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 202);
        receiver.forget();
    }
    eventually(WHILE_DELIVERED, "all events", || async {
        receiver.forget();
        (ids.lock().unwrap().len() == EVENTS).then_some(())
    })
    .await;
    let (_, peak) = memory(program.pid()).unwrap();
    assert!(peak < LIMIT_KIB, "peak of {peak} KiB");
}
