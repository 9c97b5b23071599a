//! Bodies as the gateway sent them, for endpoints with `body = "exact"`.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use wahook_tests::eventually::eventually;
use wahook_tests::http_client::http_client;
use wahook_tests::program::{Command, Program, ProgramName};
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const SOON: Duration = Duration::from_secs(30);
const SECRET: &str = "the secret of both";
/// Without a timestamp, and with spaces, an order of members and numbers that the canonical
/// form does not have.
const SENT: &str = r#"{ "data" : {"n": 9007199254740993, "e": 1e3}, "event":"test" }"#;
const PAYLOAD: &str = r#"{"n":9007199254740992,"e":1000}"#;

/// System with one endpoint for each form.
fn system(canonical: &Receiver, exact: &Receiver) -> System {
    let mut system = System::new(canonical, &[]);
    system
        .settings
        .retain(|(name, _)| !name.starts_with("WEBHOOK_"));
    let file = system.path("endpoints.toml");
    let path = file.display().to_string();
    system.settings.push(("WEBHOOK_ENDPOINTS".to_owned(), path));
    let endpoint = |name: &str, receiver: &Receiver, more: &str| {
        let url = receiver.url();
        let start = format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\n");
        format!("{start}secret = \"{SECRET}\"\n{more}\n")
    };
    let retries = "retry_attempts = 1\nretry_delay = 100\nbody = \"exact\"";
    let text = endpoint("canonical", canonical, "") + &endpoint("exact", exact, retries);
    fs::write(file, text).unwrap();
    system
}

async fn send(system: &System, media_type: &str, body: String) {
    let request = http_client()
        .unwrap()
        .post(format!("{}/v1/events", system.events))
        .header("content-type", media_type)
        .body(body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 202);
    answer.bytes().await.unwrap();
}

async fn stop(program: Program) {
    program.terminate();
    assert!(program.wait_exit(SOON).await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_endpoint_receives_the_body_in_its_form_also_after_a_retry_a_restart_and_a_redrive() {
    let is_down = Arc::new(AtomicBool::new(true));
    let fails = Arc::clone(&is_down);
    let canonical = Receiver::start().await;
    let exact =
        Receiver::answering(move |_| Answer::status(if fails.load(SeqCst) { 500 } else { 200 }));
    let exact = exact.await;
    let system = system(&canonical, &exact);
    let program = system.start().await;
    send(&system, "application/json", SENT.to_owned()).await;
    let dead = "SELECT count(*) FROM messages WHERE queue = 'wahook.dead'";
    eventually(SOON, "the dead letter", || async {
        (system.count(dead) == 1).then_some(())
    })
    .await;
    stop(program).await;

    is_down.store(false, SeqCst);
    let program = system.start().await;
    let settings = system.borrowed();
    let redrive = ["dead", "redrive", "--all"];
    let redriven = Command::start(ProgramName::Standalone, &redrive, &settings).await;
    redriven.finish().await;
    let posts = exact.wait_for(3, SOON).await;
    for post in &posts {
        assert_eq!(post.body, SENT.as_bytes());
        assert!(post.verify(SECRET).is_valid(), "{}", post.verify(SECRET));
    }
    let posts = canonical.wait_for(1, SOON).await;
    let start = format!(r#"{{"event":"test","data":{PAYLOAD},"timestamp":"#);
    let body = String::from_utf8(posts[0].body.to_vec()).unwrap();
    assert!(body.starts_with(&start), "{body}");
    assert!(posts[0].verify(SECRET).is_valid());
    let record = format!(
        "SELECT count(*) FROM webhooklogs WHERE status = 'success' AND payload = '{PAYLOAD}'"
    );
    eventually(SOON, "both records", || async {
        (system.count(&record) == 2).then_some(())
    })
    .await;
    stop(program).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_of_a_batch_is_delivered_as_it_was_sent() {
    let (canonical, exact) = (Receiver::start().await, Receiver::start().await);
    let system = system(&canonical, &exact);
    let program = system.start().await;
    let same = r#"{"event":"test","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
    let lines = [SENT, r#"{"event": "test", "data": {"b": 1}}"#, same];
    send(&system, "application/x-ndjson", lines.join("\r\n")).await;
    let posts = exact.wait_for(3, SOON).await;
    for line in lines {
        assert!(
            posts.iter().any(|post| post.body == line.as_bytes()),
            "{line}"
        );
    }
    assert!(posts.iter().all(|post| post.verify(SECRET).is_valid()));
    stop(program).await;
}
