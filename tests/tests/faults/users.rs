//! Users of RabbitMQ with the permissions that `docs/broker-users.md` gives each program.

mod permissions;
mod refused;
mod stage;

use std::sync::atomic::Ordering;
use wahook_tests::eventually::AT_LAST;

use serde_json::{Value, json};

use stage::{FAILING, Stage, ask, start_consumer, write_endpoints};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_program_works_with_the_documented_permissions_of_its_user() {
    let mut stage = Stage::start().await;
    // All documented events, a retry and a dead letter.
    let mut dead = String::new();
    for sample in wahook_domain::samples() {
        let id = stage.post(sample).await;
        stage.ends_as(&id, "ordered", "success").await;
        let name: Value = serde_json::from_str(sample).unwrap();
        if name["event"] == FAILING {
            stage.ends_as(&id, "first", "failed").await;
            dead = id;
        } else {
            stage.ends_as(&id, "first", "success").await;
        }
    }
    let unknown = stage.post(r#"{"event":"order.made","data":{}}"#).await;
    stage.ends_as(&unknown, "first", "success").await;

    // Commands of operators.
    let listed = stage.run(&["dead", "list", "--json"]).await;
    assert!(listed.printed().contains(&dead), "{listed:?}");
    stage.run(&["reconcile"]).await.printed();
    let endpoints = stage.run(&["endpoints", "list"]).await;
    assert!(endpoints.printed().contains("ordered"), "{endpoints:?}");
    let erase = ["erase", "--number", "15550001111"];
    stage.run(&erase).await.printed();
    stage.is_repaired.store(true, Ordering::Relaxed);
    stage.run(&["dead", "redrive", "--all"]).await.printed();
    stage.ends_as(&dead, "first", "success").await;

    use_console(&stage).await;
    restart_broker(&stage).await;
    move_removed_endpoint(&mut stage).await;

    for program in [&stage.producer, &stage.consumer] {
        let log = program.stderr_so_far();
        assert!(!log.contains("ACCESS_REFUSED"), "{log}");
    }
}

async fn use_console(stage: &Stage) {
    stage.is_repaired.store(false, Ordering::Relaxed);
    let dead = stage
        .post(r#"{"event":"call","data":{"id":"again"}}"#)
        .await;
    stage.ends_as(&dead, "first", "failed").await;
    stage.is_repaired.store(true, Ordering::Relaxed);
    let console = stage.console().await;
    let letters = ask(&console, "dead-letters", None).await;
    assert_eq!(
        letters["deadLetters"][0]["eventId"],
        dead.as_str(),
        "{letters}"
    );
    let endpoints = ask(&console, "endpoints", None).await;
    assert_eq!(endpoints["endpoints"][0]["queued"], 0, "{endpoints}");
    let selected = json!({ "ids": [format!("{dead}/first")] });
    let job = ask(&console, "dead-letters/redrive", Some(&selected)).await;
    assert_eq!(job["count"], 1, "{job}");
    stage.ends_as(&dead, "first", "success").await;
    for event in ["ready", "order.made"] {
        let sent = ask(&console, "test-event", Some(&json!({ "event": event }))).await;
        let id = sent["eventId"].as_str().expect(event);
        stage.ends_as(id, "first", "success").await;
    }
    let person = json!({ "number": "15550001111" });
    let erased = ask(&console, "erasures", Some(&person)).await;
    assert_eq!(erased["deadLetters"], 0, "{erased}");
    let log = console.stderr_so_far();
    assert!(!log.contains("ACCESS_REFUSED"), "{log}");
}

async fn restart_broker(stage: &Stage) {
    stage.servers.rabbitmq.stop().await;
    stage.servers.rabbitmq.restart().await;
    stage.producer.wait_ready(AT_LAST).await;
    stage.consumer.wait_ready(AT_LAST).await;
    for endpoint in ["first", "ordered"] {
        let id = stage.post(r#"{"event":"ready","data":{}}"#).await;
        stage.ends_as(&id, endpoint, "success").await;
    }
}

/// Removes the endpoint `ordered`, and moves what its queues still get to `first`.
async fn move_removed_endpoint(stage: &mut Stage) {
    stage.consumer.terminate();
    assert!(stage.consumer.wait_exit(AT_LAST).await.success());
    let [first, _] = &stage.receivers;
    write_endpoints(&stage.folder, &[("first", first)]);
    stage.consumer = start_consumer(&stage.servers, &stage.folder).await;
    let id = stage.post(r#"{"event":"ready","data":{}}"#).await;
    stage.ends_as(&id, "first", "success").await;
    let moved = stage.run(&["endpoints", "move", "ordered", "first"]).await;
    moved.printed();
    let listed = stage.run(&["endpoints", "list", "--json"]).await;
    assert!(!listed.printed().contains("\"queued\":1"), "{listed:?}");
}
