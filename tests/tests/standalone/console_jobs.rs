//! Jobs of the console within `wahook` that is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use wahook_tests::eventually::eventually;
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::console::{Console, borrowed};
use crate::system::System;

const IN_THE_END: Duration = Duration::from_secs(120);
const EVENTS: usize = 500;

/// Returns a receiver that fails until the switch is on.
async fn switched() -> (Receiver, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&works);
    let receiver = Receiver::answering(move |_: &Post| {
        let works = switch.load(Ordering::Relaxed);
        Answer::status(if works { 200 } else { 500 })
    });
    (receiver.await, works)
}

/// Sends events that all fail, and returns their ids.
async fn failures(system: &System) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..EVENTS {
        ids.push(system.send("call").await);
    }
    let failed = "SELECT count(*) FROM webhooklogs WHERE status = 'failed'";
    eventually(IN_THE_END, "the failures", || async {
        (system.count(failed) == i64::try_from(EVENTS).unwrap()).then_some(())
    })
    .await;
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redelivery_of_a_killed_program_is_continued_without_loss() {
    let (receiver, works) = switched().await;
    let (console, settings) = Console::new();
    let system = System::new(&receiver, &borrowed(&settings));
    let program = system.start().await;
    let ids = failures(&system).await;
    receiver.forget();
    works.store(true, Ordering::Relaxed);
    let filter = json!({ "status": "failed", "event": "call", "since": "1h" });
    let started = console
        .post("redeliveries", &json!({ "filter": filter, "rate": 100 }))
        .await;
    assert_eq!(started["count"], EVENTS, "{started}");
    receiver.wait_for(EVENTS / 2, IN_THE_END).await;
    program.kill9().await;
    assert!(receiver.count() < EVENTS, "killed too late");
    let _program = system.start().await;
    let path = format!("jobs/{}", started["job"].as_str().unwrap());
    let job = eventually(IN_THE_END, "the end of the job", || async {
        Some(console.get(&path).await).filter(|job| job["state"] != "running")
    })
    .await;
    let all = json!(EVENTS);
    assert_eq!(
        (&job["state"], &job["done"]),
        (&json!("done"), &all),
        "{job}"
    );
    eventually(IN_THE_END, "all redeliveries", || async {
        let mut ids = ids.iter();
        ids.all(|id| !receiver.posts_of(id).is_empty())
            .then_some(())
    })
    .await;
    for id in &ids {
        let posts = receiver.posts_of(id);
        assert!(posts.len() <= 2, "{id}: {} posts", posts.len());
        assert_eq!(posts[0].header("x-webhook-redelivery"), Some("true"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redrive_of_a_killed_program_is_continued_without_loss() {
    let (receiver, works) = switched().await;
    let (console, settings) = Console::new();
    let system = System::new(&receiver, &borrowed(&settings));
    let program = system.start().await;
    let ids = failures(&system).await;
    receiver.forget();
    works.store(true, Ordering::Relaxed);
    let started = console
        .post("dead-letters/redrive", &json!({ "filter": {} }))
        .await;
    assert_eq!(started["count"], EVENTS, "{started}");
    receiver.wait_for(1, IN_THE_END).await;
    program.kill9().await;
    let _program = system.start().await;
    let path = format!("jobs/{}", started["job"].as_str().unwrap());
    let job = eventually(IN_THE_END, "the end of the job", || async {
        Some(console.get(&path).await).filter(|job| job["state"] != "running")
    })
    .await;
    assert_eq!(job["state"], "done", "{job}");
    eventually(IN_THE_END, "all redriven events", || async {
        let mut ids = ids.iter();
        ids.all(|id| !receiver.posts_of(id).is_empty())
            .then_some(())
    })
    .await;
    // Once more if it was redriven and not removed, once more if it was in delivery.
    for id in &ids {
        assert!(receiver.posts_of(id).len() <= 3, "{id}");
    }
    assert_eq!(console.get("dead-letters").await["total"], 0);
}
