//! Bodies as the gateway sent them, for endpoints with `body = "exact"`.

use std::sync::atomic::Ordering;

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::exact_bodies::{
    NUMBER, OF_ANOTHER, OF_PERSON, PAYLOAD, REDACTED, REDACTION, SECRET, SENT, assert_both_forms,
    both_forms, exact_without_retries, wait_for_all_persons,
};
use wahook_tests::http_client::http_client;
use wahook_tests::program::{Command, Program, ProgramName, Ran};
use wahook_tests::receiver::Receiver;

use crate::system::System;

const DEAD: &str = "SELECT count(*) FROM messages WHERE queue = 'wahook.dead'";

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

async fn run(system: &System, arguments: &[&str]) -> Ran {
    let settings = system.borrowed();
    let command = Command::start(ProgramName::Standalone, arguments, &settings);
    command.await.finish().await
}

/// Waits until the query selects this integer.
async fn wait_for(system: &System, query: &str, expected: i64) {
    eventually(AT_LAST, query, || async {
        (system.count(query) == expected).then_some(())
    })
    .await;
}

async fn stop(program: Program) {
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_endpoint_receives_the_body_in_its_form_also_after_a_retry_a_restart_and_a_redrive() {
    let canonical = Receiver::start().await;
    let (exact, works) = Receiver::switched().await;
    let system = System::with_endpoints(&canonical, &both_forms(&canonical, &exact));
    let program = system.start().await;
    send(&system, "application/json", SENT.to_owned()).await;
    wait_for(&system, DEAD, 1).await;
    stop(program).await;

    works.store(true, Ordering::Relaxed);
    let program = system.start().await;
    run(&system, &["dead", "redrive", "--all"]).await;
    assert_both_forms(&canonical, &exact, 3).await;
    let record = format!(
        "SELECT count(*) FROM webhooklogs WHERE status = 'success' AND payload = '{PAYLOAD}'"
    );
    wait_for(&system, &record, 2).await;
    stop(program).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_of_a_batch_is_delivered_as_it_was_sent() {
    let (canonical, exact) = (Receiver::start().await, Receiver::start().await);
    let system = System::with_endpoints(&canonical, &both_forms(&canonical, &exact));
    let program = system.start().await;
    let same = r#"{"event":"test","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
    let lines = [SENT, r#"{"event": "test", "data": {"b": 1}}"#, same];
    send(&system, "application/x-ndjson", lines.join("\r\n")).await;
    let posts = exact.wait_for(3, AT_LAST).await;
    for line in lines {
        assert!(
            posts.iter().any(|post| post.body == line.as_bytes()),
            "{line}"
        );
    }
    assert!(posts.iter().all(|post| post.verify(SECRET).is_valid()));
    stop(program).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_bytes_are_in_no_redacted_record_and_are_erased_with_their_dead_letters() {
    let (exact, works) = Receiver::switched().await;
    let mut system = System::with_endpoints(&exact, &exact_without_retries(&exact));
    let (name, rules) = REDACTION;
    system.settings.push((name.to_owned(), rules.to_owned()));
    let program = system.start().await;
    for event in OF_PERSON.iter().chain([&OF_ANOTHER]) {
        send(&system, "application/json", (*event).to_owned()).await;
    }
    wait_for_all_persons(&exact).await;
    wait_for(&system, DEAD, 3).await;
    wait_for(&system, "SELECT count(*) FROM webhooklogs", 3).await;
    let with_words = "SELECT count(*) FROM webhooklogs \
                      WHERE payload LIKE '%secret words%' OR sentBody IS NOT NULL";
    assert_eq!(system.count(with_words), 0);

    let erased = run(&system, &["erase", "--number", NUMBER]).await;
    let expected = "2 records and 2 dead letters erased";
    assert!(erased.printed().contains(expected), "{erased:?}");
    let left = "SELECT queue, CAST(body AS TEXT) FROM messages UNION ALL \
                SELECT queue, CAST(body AS TEXT) FROM waiting";
    let expected = ("wahook.dead".to_owned(), OF_ANOTHER.to_owned());
    assert_eq!(system.pairs(left), [expected]);

    works.store(true, Ordering::Relaxed);
    exact.forget();
    run(&system, &["dead", "redrive", "--all"]).await;
    let posts = exact.wait_for(1, AT_LAST).await;
    assert_eq!(posts[0].body, OF_ANOTHER.as_bytes());
    let record = format!(
        "SELECT count(*) FROM webhooklogs WHERE status = 'success' AND payload = '{REDACTED}'"
    );
    wait_for(&system, &record, 1).await;
    assert_eq!(exact.count(), 1);
    stop(program).await;
}
