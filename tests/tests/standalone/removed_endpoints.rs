//! Events that are queued for an endpoint when it is removed from the settings.

use std::collections::BTreeSet;

use serde_json::Value;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::program::{Command, Program, ProgramName, Ran};
use wahook_tests::readiness::wait_noted;
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const OLD_WAITING: &str = "SELECT count(*) FROM waiting WHERE queue = 'wahook.deliver.old'";
const STRANDED: &str = "wahook_endpoint_stranded_messages";

/// System with an endpoints file instead of one endpoint.
fn system(receiver: &Receiver, endpoint: &str) -> System {
    System::with_endpoints(receiver, &file(receiver, endpoint))
}

fn file(receiver: &Receiver, endpoint: &str) -> String {
    let url = receiver.url();
    format!("[[endpoint]]\nurl = \"{url}\"\n{endpoint}\n")
}

fn write(system: &System, receiver: &Receiver, endpoint: &str) {
    system.write_endpoints(&file(receiver, endpoint));
}

async fn stop(program: Program) {
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
}

async fn run(system: &System, arguments: &[&str]) -> Ran {
    let settings = system.borrowed();
    let command = Command::start(ProgramName::Standalone, arguments, &settings);
    command.await.finish().await
}

fn rows(listed: &Ran) -> Vec<Value> {
    let lines = listed.printed().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Queues events for a disabled endpoint `old`, and starts again with `new` instead.
async fn renamed(
    system: &System,
    receiver: &Receiver,
    events: usize,
) -> (BTreeSet<String>, Program) {
    write(system, receiver, "name = \"old\"\nenabled = false");
    let program = system.start().await;
    let mut ids = BTreeSet::new();
    for _ in 0..events {
        ids.insert(system.send("test").await);
    }
    stop(program).await;
    write(system, receiver, "name = \"new\"");
    (ids, system.start().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_renamed_endpoint_are_reported_listed_and_moved_once() {
    let receiver = Receiver::answering(|post| {
        Answer::status(if post.event() == Some("refused") {
            500
        } else {
            200
        })
    });
    let receiver = receiver.await;
    let system = system(&receiver, "name = \"old\"\nretry_delay = 3600000");
    let program = system.start().await;
    system.send("refused").await;
    eventually(AT_LAST, "a retry that waits", || async {
        (system.count(OLD_WAITING) == 1).then_some(())
    })
    .await;
    stop(program).await;
    let (ids, program) = renamed(&system, &receiver, 5).await;

    let old = [("endpoint", "old")];
    eventually(AT_LAST, "the metric", || async {
        (system.metrics().await.sum_where(STRANDED, &old) == 6.0).then_some(())
    })
    .await;
    program
        .wait_logged("for an endpoint that is not configured")
        .await;
    wait_noted(&system.operators(), "old (6)").await;

    let listed = rows(&run(&system, &["endpoints", "list", "--json"]).await);
    let listed = |name: &str| listed.iter().find(|row| row["endpoint"] == name).unwrap();
    assert_eq!(listed("old")["configured"], false);
    assert_eq!(listed("old")["queued"], 5);
    assert_eq!(listed("old")["waiting"], 1);
    assert_eq!(listed("new")["configured"], true);
    for (arguments, reason) in [
        (["move", "new", "old"], "new is still configured"),
        (["move", "old", "other"], "other is not configured"),
        (["move", "old", "old"], "the same endpoint"),
    ] {
        let refused = run(&system, &[&["endpoints"][..], &arguments].concat()).await;
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.stderr.contains(reason), "{refused:?}");
    }
    let preview = run(&system, &["endpoints", "move", "old", "new", "--dry-run"]).await;
    assert_eq!(preview.printed(), "6 events of old would be moved\n");
    assert_eq!(receiver.count(), 1);

    let moved = run(&system, &["endpoints", "move", "old", "new"]).await;
    assert_eq!(moved.printed(), "6 events of old moved\n");
    let posts = receiver.wait_for(6, AT_LAST).await;
    let delivered: BTreeSet<_> = posts[1..].iter().filter_map(|post| post.id()).collect();
    assert_eq!(delivered, ids.iter().map(String::as_str).collect());
    let waiting = "SELECT count(*) FROM waiting WHERE queue = 'wahook.deliver.new' AND attempt = 2";
    assert_eq!(system.count(waiting), 1);
    let again = run(&system, &["endpoints", "move", "old", "new"]).await;
    assert_eq!(again.printed(), "0 events of old moved\n");
    system.ended("test", "success").await;
    assert_eq!(receiver.count(), 7, "nothing was delivered twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_dropped_endpoint_are_dead_letters_that_another_endpoint_can_get() {
    let receiver = Receiver::start().await;
    let system = system(&receiver, "");
    let (ids, _program) = renamed(&system, &receiver, 3).await;
    let unconfirmed = run(&system, &["endpoints", "drop", "old"]).await;
    assert_eq!(unconfirmed.status.code(), Some(1));
    assert!(unconfirmed.stderr.contains("--yes"), "{unconfirmed:?}");
    let dropped = run(&system, &["endpoints", "drop", "old", "--yes"]).await;
    assert_eq!(dropped.printed(), "3 events of old made dead letters\n");

    let letters = rows(&run(&system, &["dead", "list", "--json"]).await);
    let dead: BTreeSet<_> = letters
        .iter()
        .filter_map(|row| row["id"].as_str())
        .collect();
    assert_eq!(dead, ids.iter().map(String::as_str).collect());
    for letter in &letters {
        assert_eq!(letter["endpoint"], "old");
        assert!(letter["died_at"].is_string(), "{letter}");
        let reason = letter["reason"].as_str().unwrap();
        assert!(reason.contains("old was removed"), "{reason}");
    }
    let listed = rows(&run(&system, &["endpoints", "list", "--json"]).await);
    let old = listed.iter().find(|row| row["endpoint"] == "old").unwrap();
    assert_eq!(old["queued"], 0);
    assert_eq!(old["dead_letters"], 3);

    let reconciled = run(&system, &["reconcile", "--since", "1h"]).await;
    assert_eq!(reconciled.status.code(), Some(0), "{reconciled:?}");
    let redrive = ["dead", "redrive", "--endpoint", "old", "--to", "new"];
    let redriven = run(&system, &redrive).await;
    assert_eq!(redriven.printed(), "3 of 3 dead letters redriven\n");
    let posts = receiver.wait_for(3, AT_LAST).await;
    let delivered: BTreeSet<_> = posts.iter().filter_map(|post| post.id()).collect();
    assert_eq!(delivered, dead);
}
