//! A process that does not run for a while, as in a stopped container or a suspended machine.

use std::time::Duration;

use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const EVENTS: usize = 20;

/// The answers arrive during the freeze, and the time limits end in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_arrives_during_a_freeze_is_no_timeout() {
    let receiver = Receiver::answering(|_| Answer::status(200).after(Duration::from_secs(1))).await;
    let system = System::new(&receiver, &[("WEBHOOK_TIMEOUT", "4000")]);
    let program = system.start().await;
    let http = http_client().unwrap();
    for number in 0..EVENTS {
        let event = json!({"event": "call", "data": {"id": number}});
        let post = http.post(format!("{}/v1/events", system.events));
        let post = post.header("content-type", "application/json");
        post.body(event.to_string()).send().await.unwrap();
    }
    receiver.wait_for(EVENTS, AT_LAST).await;
    program.freeze();
    tokio::time::sleep(Duration::from_secs(7)).await;
    program.thaw();
    let delivered = "SELECT count(*) FROM webhooklogs WHERE status = 'success' \
                     AND json_array_length(attempts) = 1";
    eventually(AT_LAST, "all events delivered by one attempt", || async {
        (system.count(delivered) == EVENTS as i64).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), EVENTS);
}
