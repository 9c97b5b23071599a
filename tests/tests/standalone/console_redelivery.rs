//! Redeliveries by the console within `wahook`.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::receiver::Receiver;

use crate::console::{Console, borrowed};
use crate::system::System;

const HEADER: &str = "x-webhook-redelivery";

/// Waits until the log has as many attempts of an event, and returns its status.
async fn status_after(console: &Console, id: &str, attempts: usize) -> Value {
    let path = format!("deliveries/{id}/default");
    eventually(AT_LAST, "the attempts in the log", || async {
        let delivery = console.get(&path).await;
        let found = delivery["attempts"].as_array().map(Vec::len);
        (found == Some(attempts)).then(|| delivery["status"].clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivered_and_failed_events_are_sent_again_with_their_id_and_body() {
    let (receiver, works) = Receiver::switched().await;
    let (console, settings) = Console::new();
    let system = System::new(&receiver, &borrowed(&settings));
    let _program = system.start().await;
    works.store(true, Ordering::Relaxed);
    let mut ids = vec![system.ended("ready", "success").await];
    works.store(false, Ordering::Relaxed);
    for _ in 0..3 {
        ids.push(system.ended("call", "failed").await);
    }
    let first = receiver.posts();
    assert!(first.iter().all(|post| post.header(HEADER).is_none()));
    receiver.forget();
    works.store(true, Ordering::Relaxed);

    let started = console.post("redeliveries", &json!({ "ids": ids })).await;
    assert_eq!(started["count"], 4, "{started}");
    let job = console.end_of(&started).await;
    assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(4)));
    receiver.wait_for(4, AT_LAST).await;
    for id in &ids {
        let posts = receiver.posts_of(id);
        assert_eq!(posts.len(), 1, "{id}");
        assert_eq!(posts[0].header(HEADER), Some("true"));
        assert_eq!(posts[0].attempt(), Some(1));
        let before = first.iter().find(|post| post.id() == Some(id)).unwrap();
        assert_eq!(posts[0].body, before.body);
        assert_eq!(status_after(&console, id, 2).await, "success");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_events_that_match_are_counted_and_then_sent_again() {
    let (receiver, works) = Receiver::switched().await;
    let (console, settings) = Console::new();
    let system = System::new(&receiver, &borrowed(&settings));
    let _program = system.start().await;
    for _ in 0..3 {
        system.ended("call", "failed").await;
    }
    system.ended("ready", "failed").await;
    receiver.forget();
    works.store(true, Ordering::Relaxed);
    let filter = json!({ "status": "failed", "event": "call", "since": "1h" });
    let dry = json!({ "filter": filter, "dryRun": true });
    assert_eq!(
        console.post("redeliveries", &dry).await,
        json!({ "count": 3 })
    );
    assert_eq!(receiver.count(), 0);
    let started = console
        .post("redeliveries", &json!({ "filter": filter, "rate": 10 }))
        .await;
    assert_eq!(console.end_of(&started).await["done"], 3);
    let posts = receiver.wait_for(3, AT_LAST).await;
    assert!(posts.iter().all(|post| post.event() == Some("call")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_redelivery_of_a_delivered_event_leaves_it_delivered_and_can_be_redriven() {
    let (receiver, works) = Receiver::switched().await;
    let (console, settings) = Console::new();
    let system = System::new(&receiver, &borrowed(&settings));
    let _program = system.start().await;
    works.store(true, Ordering::Relaxed);
    let id = system.ended("ready", "success").await;
    works.store(false, Ordering::Relaxed);
    let one = json!({ "ids": [format!("{id}/default")] });
    let started = console.post("redeliveries", &one).await;
    assert_eq!(console.end_of(&started).await["state"], "done");
    assert_eq!(status_after(&console, &id, 2).await, "success");
    eventually(AT_LAST, "the dead letter", || async {
        let dead = console.get("dead-letters").await;
        (dead["total"] == 1).then_some(())
    })
    .await;
    works.store(true, Ordering::Relaxed);
    receiver.forget();
    console
        .post("dead-letters/redrive", &json!({ "ids": [id] }))
        .await;
    let posts = receiver.wait_for(1, AT_LAST).await;
    assert_eq!(posts[0].header(HEADER), Some("true"));
    assert_eq!(status_after(&console, &id, 3).await, "success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redacted_values_are_delivered_and_not_logged_and_their_event_is_not_sent_again() {
    let receiver = Receiver::start().await;
    let (console, settings) = Console::new();
    let rules = ("LOG_REDACT", "ready=/data/note");
    let settings = [&borrowed(&settings)[..], &[rules]].concat();
    let system = System::new(&receiver, &settings);
    let _program = system.start().await;
    let event = json!({ "event": "ready", "data": { "note": "secret words", "n": 1 } });
    let id = system.send_event(&event).await;
    let posts = receiver.wait_for(1, AT_LAST).await;
    let body: Value = serde_json::from_slice(&posts[0].body).unwrap();
    assert_eq!(body["data"]["note"], "secret words");
    assert_eq!(status_after(&console, &id, 1).await, "success");
    let detail = console.get(&format!("deliveries/{id}/default")).await;
    let expected = json!({ "note": "[redacted by wahook]", "n": 1 });
    assert_eq!(detail["payload"], expected, "{detail}");
    let started = console.post("redeliveries", &json!({ "ids": [id] })).await;
    let job = console.end_of(&started).await;
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("redacted or erased"), "{job}");
    assert_eq!(receiver.count(), 1);
}
