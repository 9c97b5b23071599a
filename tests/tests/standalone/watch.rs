//! `tail` and `stats` on the data file, with and without a running process.

use serde_json::{Value, json};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::program::{Command, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

async fn start(system: &System, arguments: &[&str]) -> Command {
    Command::start(ProgramName::Standalone, arguments, &system.borrowed()).await
}

async fn run(system: &System, arguments: &[&str]) -> Ran {
    start(system, arguments).await.finish().await
}

fn lines(ran: &Ran) -> Vec<Value> {
    let lines = ran.printed().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tail_and_stats_read_the_data_file() {
    let answers = Receiver::answering(|post| {
        let fails = match post.event() {
            Some("call") => true,
            Some("ready") => post.attempt() == Some(1),
            _ => false,
        };
        Answer::status(if fails { 500 } else { 200 })
    });
    let receiver = answers.await;
    let settings = [
        ("WEBHOOK_RETRY_ATTEMPTS", "2"),
        ("WEBHOOK_RETRY_DELAY", "100"),
    ];
    let system = System::new(&receiver, &settings);
    let nothing = run(&system, &["stats"]).await;
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");
    assert!(nothing.stderr.contains("there is no file"), "{nothing:?}");
    let program = system.start().await;
    let call = system.ended("call", "failed").await;
    let ready = system.ended("ready", "success").await;
    // Two deliveries have ended; the third ends while `tail` waits.
    let all = ["tail", "--json", "--since", "1h", "--limit", "3"];
    let tail = start(&system, &all).await;
    eventually(AT_LAST, "the first two", || async {
        (tail.stdout_so_far().lines().count() == 2).then_some(())
    })
    .await;
    let group = system.ended("group_join", "success").await;
    let shown = lines(&tail.finish().await);
    let of = |field: &str| {
        shown
            .iter()
            .map(|line| line[field].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("eventId"), [call.as_str(), &ready, &group]);
    assert_eq!(of("status"), ["failed", "success", "success"]);
    assert_eq!(of("retryCount"), [2, 1, 0]);
    assert_eq!(of("statusCode"), [500, 200, 200]);
    assert_eq!(
        of("errorMessage"),
        [json!("answered 500"), Value::Null, Value::Null]
    );

    // A redriven dead letter that fails again is shown a second time.
    let failed = [
        "tail", "--json", "--since", "1h", "--status", "failed", "--limit", "2",
    ];
    let tail = start(&system, &failed).await;
    eventually(AT_LAST, "the first failure", || async {
        tail.stdout_so_far().contains(&call).then_some(())
    })
    .await;
    run(&system, &["dead", "redrive", "--all"]).await.printed();
    let ids: Vec<_> = lines(&tail.finish().await)
        .iter()
        .map(|line| line["eventId"].clone())
        .collect();
    assert_eq!(ids, [call.as_str(), &call]);
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());

    // Without a running process.
    let counted = run(&system, &["stats", "--json"]).await;
    let counted: Value = serde_json::from_str(counted.printed()).unwrap();
    let row = |name: &str, success: u64, failed: u64, first: f64, retries: u64| {
        json!({
            "name": name, "deliveries": success + failed, "success": success, "failed": failed,
            "retrying": 0, "successRate": success as f64, "firstAttemptRate": first,
            "retries": retries,
        })
    };
    let expected = [
        row("call", 0, 1, 0.0, 5),
        row("group_join", 1, 0, 1.0, 0),
        row("ready", 1, 0, 0.0, 1),
    ];
    assert_eq!(counted["rows"], json!(expected));
    let only = ["tail", "--since", "1h", "--event", "ready", "--limit", "1"];
    let plain = run(&system, &only).await;
    assert!(
        plain.printed().contains("Z  success 200  ready"),
        "{plain:?}"
    );
}
