//! Command `reconcile` on the data file, with and without a running process.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::program::{Command, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::system::System;

const SETTINGS: [(&str, &str); 3] = [
    ("WEBHOOK_RETRY_ATTEMPTS", "1"),
    ("WEBHOOK_RETRY_DELAY", "300000"),
    ("WEBHOOK_CIRCUIT", "off"),
];

/// Delivers `call`, fails `ready` for good, fails `qr` until its retry, and never answers others.
fn by_name(post: &Post) -> Answer {
    match post.event() {
        Some("call") => Answer::status(200),
        Some("ready") => Answer::status(410),
        Some("qr") => Answer::status(500),
        _ => Answer::silence(),
    }
}

async fn run(system: &System, arguments: &[&str]) -> Ran {
    let arguments = [&["reconcile"], arguments].concat();
    let settings = system.borrowed();
    let command = Command::start(ProgramName::Standalone, &arguments, &settings);
    command.await.finish().await
}

/// Reconciles the default window, or these ids. Returns the exit status and the report.
async fn reconcile(system: &System, ids: Option<&[String]>) -> (Option<i32>, Value) {
    let file = system.path("accepted");
    let mut arguments = vec!["--json"];
    if let Some(ids) = ids {
        fs::write(&file, ids.join("\n")).unwrap();
        arguments.extend(["--accepted", file.to_str().unwrap()]);
    }
    let ran = run(system, &arguments).await;
    let report = serde_json::from_str(&ran.stdout);
    (
        ran.status.code(),
        report.unwrap_or_else(|_| panic!("{ran:?}")),
    )
}

/// Returns the numbers of delivered, failed, retrying and queued deliveries.
fn total(report: &Value) -> [u64; 4] {
    ["delivered", "failed", "retrying", "queued"]
        .map(|location| report["total"][location].as_u64().unwrap())
}

/// Returns kinds and ids of the findings.
fn findings(report: &Value) -> BTreeSet<(&str, &str)> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| {
            let member = |name: &str| finding[name].as_str().unwrap();
            (member("kind"), member("id"))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_in_every_state_of_a_data_file_are_accounted_for() {
    let receiver = Receiver::answering(by_name).await;
    let system = System::new(&receiver, &SETTINGS);
    let program = system.start().await;
    let mut ids = Vec::new();
    for (event, status, count) in [
        ("call", "success", 4),
        ("ready", "failed", 3),
        ("qr", "retrying", 2),
    ] {
        for _ in 0..count {
            ids.push(system.ended(event, status).await);
        }
    }
    // In flight: without a record, and held by the consumer.
    ids.push(system.send("disconnected").await);
    receiver.wait_for(4 + 3 + 2 + 1, AT_LAST).await;
    for of in [None, Some(ids.as_slice())] {
        let (status, report) = reconcile(&system, of).await;
        assert_eq!(
            (status, total(&report)),
            (Some(0), [4, 3, 2, 1]),
            "{report}"
        );
        assert_eq!(report["adds_up"], true);
    }
    program.kill9().await;
    let (status, report) = reconcile(&system, None).await;
    assert_eq!(
        (status, total(&report)),
        (Some(0), [4, 3, 2, 1]),
        "{report}"
    );
    // A redriven event without an attempt has neither a dead letter nor a current record.
    let redrive = ["dead", "redrive", "--all"];
    let settings = system.borrowed();
    let redriven = Command::start(ProgramName::Standalone, &redrive, &settings);
    redriven.await.finish().await.printed();
    let text = run(&system, &[]).await;
    let summary = "\n10 = 4 delivered + 0 failed + 2 retrying + 4 queued\n";
    assert!(text.printed().contains(summary), "{text:?}");
    assert!(
        text.stdout.ends_with("all deliveries are accounted for\n"),
        "{text:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_deleted_from_a_data_file_is_reported() {
    let receiver = Receiver::answering(by_name).await;
    let system = System::new(&receiver, &SETTINGS);
    let _program = system.start().await;
    let delivered = system.ended("call", "success").await;
    let failed = system.ended("ready", "failed").await;
    let unrecorded = system.ended("ready", "failed").await;
    let retrying = system.ended("qr", "retrying").await;
    let kept = system.ended("call", "success").await;
    eventually(AT_LAST, "two dead letters", || async {
        let dead_letters = "SELECT count(*) FROM messages WHERE queue = 'wahook.dead'";
        (system.count(dead_letters) == 2).then_some(())
    })
    .await;
    let data = system.data();
    let delete = |table: &str, column: &str, id: &str| {
        let deleted = data.execute(&format!("DELETE FROM {table} WHERE {column} = ?"), [id]);
        assert_eq!(deleted.unwrap(), 1, "{table}");
    };
    delete("webhooklogs", "eventId", &delivered);
    delete("messages", "event_id", &failed);
    delete("webhooklogs", "eventId", &unrecorded);
    delete("waiting", "event_id", &retrying);
    let mut expected = BTreeSet::from([
        ("letter-missing", failed.as_str()),
        ("record-missing", unrecorded.as_str()),
        ("retry-missing", retrying.as_str()),
    ]);
    let (status, report) = reconcile(&system, None).await;
    assert_eq!(
        (status, findings(&report)),
        (Some(1), expected.clone()),
        "{report}"
    );
    assert_eq!(total(&report), [1, 0, 0, 0]);
    // The file has nothing of a delivered event: the loss shows only with its id.
    expected.insert(("lost", &delivered));
    let ids = [&delivered, &failed, &unrecorded, &retrying, &kept].map(Clone::clone);
    let (status, report) = reconcile(&system, Some(&ids)).await;
    assert_eq!((status, findings(&report)), (Some(1), expected), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconciliation_without_a_data_file_exits_with_2() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let ran = run(&system, &[]).await;
    assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("start wahook once to create it"),
        "{ran:?}"
    );
    assert!(!system.path("wahook.db").exists());
}
