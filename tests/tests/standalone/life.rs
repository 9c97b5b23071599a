//! Delivery, stop and restart, and a data file that is in use.

use std::time::Duration;

use serde_json::{Value, json};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::pair::SECRET;
use wahook_tests::ports::free_port;
use wahook_tests::program::{Program, ProgramName};
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

async fn post(system: &System, event: &Value) -> Value {
    let http = http_client().unwrap();
    let answer = http.post(format!("{}/v1/events", system.events));
    let answer = answer.header("content-type", "application/json");
    let answer = answer.body(event.to_string()).send().await.unwrap();
    let body = answer.bytes().await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_delivered_signed_retried_and_logged_on_one_file() {
    let answers = Receiver::answering(|post| {
        Answer::status(if post.attempt() == Some(1) { 500 } else { 200 })
    });
    let receiver = answers.await;
    let system = System::new(&receiver, &[("WEBHOOK_RETRY_DELAY", "300")]);
    let program = system.start().await;
    let event = json!({"event": "call", "data": {"id": "c1"}, "timestamp": "2024-10-01T12:00:00Z"});
    let id = post(&system, &event).await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let posts = receiver.wait_for(2, AT_LAST).await;
    for post in &posts {
        assert_eq!(post.id(), Some(id.as_str()));
        assert!(post.verify(SECRET).is_valid(), "{}", post.verify(SECRET));
        assert_eq!(post.body, posts[0].body);
    }
    assert!(posts[1].arrived - posts[0].arrived >= Duration::from_millis(299));
    // A repetition within ten minutes is a duplicate.
    assert_eq!(post(&system, &event).await["duplicate"], json!(true));
    let record = format!(
        "SELECT count(*) FROM webhooklogs WHERE eventId = '{id}' AND status = 'success' \
         AND retryCount = 1 AND json_array_length(attempts) = 2"
    );
    eventually(AT_LAST, "the record", || async {
        (system.count(&record) == 1).then_some(())
    })
    .await;
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
    assert_eq!(system.count("SELECT count(*) FROM messages"), 0);
    assert_eq!(system.count("SELECT count(*) FROM waiting"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_that_waits_at_a_stop_is_delivered_after_the_next_start() {
    let answers = Receiver::answering(|post| {
        Answer::status(if post.attempt() == Some(1) { 500 } else { 200 })
    });
    let receiver = answers.await;
    let system = System::new(&receiver, &[("WEBHOOK_RETRY_DELAY", "20000")]);
    let program = system.start().await;
    let id = post(&system, &json!({"event": "ready"})).await["id"].clone();
    receiver.wait_for(1, AT_LAST).await;
    eventually(AT_LAST, "the retry", || async {
        (system.count("SELECT count(*) FROM waiting") == 1).then_some(())
    })
    .await;
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
    let _again = system.start().await;
    let posts = receiver.wait_for(2, AT_LAST).await;
    assert_eq!(posts[1].id(), id.as_str());
    assert_eq!(posts[1].attempt(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_on_the_same_file_exits_with_the_reason() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let first = system.start().await;
    let mut settings = system.borrowed();
    settings.retain(|(name, _)| !name.ends_with("_LISTEN"));
    settings.extend([
        ("PRODUCER_LISTEN", "127.0.0.1:0"),
        ("CONSUMER_LISTEN", "127.0.0.1:0"),
    ]);
    let second = Program::launch(ProgramName::Standalone, &settings).await;
    assert_eq!(second.wait_exit(AT_LAST).await.code(), Some(1));
    let stderr = second.stderr_so_far();
    assert!(stderr.contains("in use by another wahook"), "{stderr}");
    assert!(first.is_running());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_webhook_an_event_is_on_the_page_with_valid_signatures() {
    let page = format!("127.0.0.1:{}", free_port().unwrap());
    let elsewhere = Receiver::start().await;
    let mut system = System::new(&elsewhere, &[("RECEIVER_ADDRESS", &page)]);
    system
        .settings
        .retain(|(name, _)| !name.starts_with("WEBHOOK_"));
    let program = system.start().await;
    let sent = post(&system, &json!({"event": "ready"})).await;
    let shown = eventually(AT_LAST, "the event on the page", || async {
        let answer = http_client()
            .unwrap()
            .get(format!("http://{page}/_receiver/api/deliveries"));
        let body = answer.send().await.unwrap().bytes().await.unwrap();
        let update: Value = serde_json::from_slice(&body).unwrap();
        let deliveries = update["deliveries"].as_array().unwrap();
        deliveries.first().cloned()
    })
    .await;
    assert_eq!(
        (&shown["id"], &shown["event"]),
        (&sent["id"], &json!("ready"))
    );
    for signature in ["body", "standard"] {
        assert_eq!(shown["signatures"][signature]["state"], "valid", "{shown}");
    }
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_event_is_refused_after_a_restart() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let http = http_client().unwrap();
    let post = async |data: Value| {
        let request = http.post(format!("{}/v1/events", system.events));
        let request = request.header("content-type", "application/json");
        let request = request.header("idempotency-key", "true_4915112345678@c.us_3EB0");
        let body = json!({ "event": "call", "data": data }).to_string();
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let answer = answer.bytes().await.unwrap();
        (status, String::from_utf8(answer.to_vec()).unwrap())
    };
    let first = system.start().await;
    assert_eq!(post(json!({ "n": 1 })).await.0, 202);
    let payloads = "SELECT payload, status FROM webhooklogs";
    let recorded = ("{\"n\":1}".to_owned(), "success".to_owned());
    eventually(AT_LAST, "the record", || async {
        (system.pairs(payloads) == [recorded.clone()]).then_some(())
    })
    .await;
    first.terminate();
    assert!(first.wait_exit(AT_LAST).await.success());

    let _second = system.start().await;
    let (status, problem) = post(json!({ "n": 2 })).await;
    assert_eq!(status, 422, "{problem}");
    assert!(problem.contains("idempotency-key-reused"), "{problem}");
    // Unknown after a restart, and a repeat is better than a loss.
    assert_eq!(post(json!({ "n": 1 })).await.0, 202);
    assert_eq!(post(json!({ "n": 2 })).await.0, 422);
    for sent in receiver.wait_for(2, AT_LAST).await {
        assert!(
            sent.body
                .starts_with(b"{\"event\":\"call\",\"data\":{\"n\":1}")
        );
    }
    assert_eq!(receiver.count(), 2);
    assert_eq!(system.pairs(payloads), [recorded]);
}
