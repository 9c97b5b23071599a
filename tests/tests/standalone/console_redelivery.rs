//! Redeliveries by the console within `wahook`.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::exact_bodies::{SECRET, SENT, both_forms};
use wahook_tests::http_client::http_client;
use wahook_tests::receiver::{Post, Receiver};

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

/// Form of a gateway, with an escape and a NUL that no printer writes.
const FORM: &str = "instanceName=shop1&jsonData=%7B%22type%22%3A%22QR%22%7D&%61=%00";
const FORM_TYPE: &str = "application/x-www-form-urlencoded; charset=utf-8";
const SOURCES: &str = "[[source]]\nname = \"wuzapi\"\nkind = \"wuzapi\"\n\
    [[source]]\nname = \"shop\"\nkind = \"generic\"\ndeliver = \"documented\"\n";

/// Posts a body, and returns the id of its event.
async fn post(url: String, content_type: &str, body: &'static str) -> String {
    let request = http_client().unwrap().post(url).body(body);
    let answer = request.header("content-type", content_type).send().await;
    let answer: Value = serde_json::from_slice(&answer.unwrap().bytes().await.unwrap()).unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

fn of<'a>(posts: &'a [Arc<Post>], id: &str) -> &'a Post {
    posts.iter().find(|post| post.id() == Some(id)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exact_bodies_and_events_of_sources_are_sent_again_with_their_bytes_to_any_endpoint() {
    let (canonical, exact) = (Receiver::start().await, Receiver::start().await);
    let (console, settings) = Console::new();
    let mut system = System::with_endpoints(&canonical, &both_forms(&canonical, &exact));
    let sources = system.path("sources.toml");
    fs::write(&sources, SOURCES).unwrap();
    let sources = ("WAHOOK_SOURCES".to_owned(), sources.display().to_string());
    let listen = ("CONSOLE_LISTEN".to_owned(), settings[0].1.clone());
    system.settings.extend([sources, listen]);
    let _program = system.start().await;
    let ids = [
        post(
            format!("{}/v1/events", system.events),
            "application/json",
            SENT,
        )
        .await,
        post(format!("{}/v1/in/wuzapi", system.events), FORM_TYPE, FORM).await,
        post(
            format!("{}/v1/in/shop", system.events),
            "application/json",
            r#"{"event":"paid","chat":"c1","amount":2.50}"#,
        )
        .await,
    ];
    let first = [
        canonical.wait_for(3, AT_LAST).await,
        exact.wait_for(3, AT_LAST).await,
    ];
    assert_eq!(of(&first[1], &ids[0]).body, SENT.as_bytes());
    assert_eq!(of(&first[1], &ids[1]).body, FORM.as_bytes());
    for endpoint in ["canonical", "exact"] {
        for id in &ids {
            eventually(AT_LAST, "the delivery in the log", || async {
                let delivery = console.get(&format!("deliveries/{id}/{endpoint}")).await;
                (delivery["status"] == "success").then_some(())
            })
            .await;
        }
    }
    let detail = console.get(&format!("deliveries/{}/exact", ids[1])).await;
    assert_eq!(detail["headers"]["content-type"], FORM_TYPE, "{detail}");
    let curl = detail["curl"].as_str().unwrap();
    assert!(curl.contains(&format!("'{FORM}'")), "{curl}");

    for (receiver, to, before) in [
        (&canonical, "canonical", &first[0]),
        (&exact, "exact", &first[1]),
    ] {
        receiver.forget();
        // All from the records of the other endpoint.
        let from = if to == "exact" { "canonical" } else { "exact" };
        let from: Vec<_> = ids.iter().map(|id| format!("{id}/{from}")).collect();
        let order = json!({ "ids": from, "endpoint": to });
        let job = console
            .end_of(&console.post("redeliveries", &order).await)
            .await;
        assert_eq!(job["done"], 3, "{job}");
        let again = receiver.wait_for(3, AT_LAST).await;
        for id in &ids {
            let (again, before) = (of(&again, id), of(before, id));
            assert_eq!(again.body, before.body);
            assert!(again.verify(SECRET).is_valid(), "{}", again.verify(SECRET));
            assert_eq!(again.header(HEADER), Some("true"));
            for name in ["content-type", "x-webhook-source", "x-webhook-session"] {
                assert_eq!(again.header(name), before.header(name), "{name}");
            }
        }
    }
}
