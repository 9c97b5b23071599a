//! Pauses by operators while `wahook` runs, on its data file.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::program::{Command, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const QUEUED: &str = "SELECT count(*) FROM messages WHERE queue = 'wahook.deliver.default'";
const WAITING: &str = "SELECT count(*) FROM waiting";

async fn command(system: &System, arguments: &[&str]) -> Ran {
    let arguments = [&["endpoints"], arguments].concat();
    let settings = system.borrowed();
    let command = Command::start(ProgramName::Standalone, &arguments, &settings);
    command.await.finish().await
}

async fn until_paused(system: &System, expected: f64) {
    eventually(AT_LAST, "the metric of the pause", || async {
        let metrics = system.metrics().await;
        (metrics.sum("wahook_endpoint_paused") == expected).then_some(())
    })
    .await;
}

async fn until(system: &System, query: &str, expected: i64) {
    eventually(AT_LAST, query, || async {
        (system.count(query) == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pause_by_the_command_line_lasts_over_a_restart_and_a_retry_waits_in_the_queue() {
    let fails = AtomicBool::new(true);
    let receiver = Receiver::answering(move |_| {
        let fails = fails.swap(false, Ordering::Relaxed);
        Answer::status(if fails { 500 } else { 200 })
    });
    let receiver = receiver.await;
    let system = System::new(&receiver, &[("WEBHOOK_RETRY_DELAY", "20000")]);
    let program = system.start().await;
    let retried = system.send("retried").await;
    until(&system, WAITING, 1).await;
    let given = command(&system, &["pause", "default", "--reason", "new version"]).await;
    assert!(given.printed().contains("default is paused"), "{given:?}");
    until_paused(&system, 1.0).await;
    for _ in 0..5 {
        system.send("test").await;
    }
    // The retry is due, and waits with the others.
    until(&system, QUEUED, 6).await;
    assert_eq!(receiver.count(), 1);

    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
    let program = system.start().await;
    until_paused(&system, 1.0).await;
    system.send("test").await;
    assert_eq!((system.count(QUEUED), receiver.count()), (7, 1));
    program.wait_logged("endpoint paused by an operator").await;
    let listed = command(&system, &["list", "--json"]).await;
    let row: Value = serde_json::from_str(listed.printed().trim()).unwrap();
    assert_eq!(row["paused"]["reason"], "new version");
    let listed = command(&system, &["list"]).await;
    let line = "default is paused by an operator (command line) since ";
    assert!(listed.printed().contains(line), "{listed:?}");

    command(&system, &["resume", "default"]).await.printed();
    receiver.wait_for(8, AT_LAST).await;
    let attempts: Vec<_> = receiver.posts_of(&retried);
    assert_eq!(attempts.last().unwrap().attempt(), Some(2));
    until(&system, QUEUED, 0).await;
    let actions = system.pairs("SELECT action, subject FROM wahookactions ORDER BY seq");
    let expected = ["pause", "resume"].map(|action| (action.to_owned(), "default".to_owned()));
    assert_eq!(actions, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_for_an_endpoint_that_the_data_file_does_not_know_is_refused() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let program = system.start().await;
    // The program writes its endpoints into the file shortly after it is ready.
    let expected = "endpoint crm is not configured; configured are: default";
    eventually(AT_LAST, "the refusal", async || {
        let refused = command(&system, &["pause", "crm"]).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        refused.stderr.contains(expected).then_some(())
    })
    .await;
    drop(program);
}
