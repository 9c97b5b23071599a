//! Actions, on the queues of a data file.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use wahook_domain::{EndpointName, EventBody, EventId, EventName, QueuedEvent, UnixMillis};
use wahook_queue::Outgoing;
use wahook_runtime::clock;

use super::stage::Stage;
use crate::fake;

const SOON: Duration = Duration::from_secs(60);

/// Adds a dead letter of the endpoint `default`, from 1970.
async fn add_dead_letter(stage: &Stage, id: &str, reason: &str) {
    add_dead_letter_at(stage, id, reason, UnixMillis::new(2_000)).await;
}

async fn add_dead_letter_at(stage: &Stage, id: &str, reason: &str, died_at: UnixMillis) {
    let body = br#"{"event":"call","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
    let event = QueuedEvent::new(
        EventId::parse(id).unwrap(),
        EventName::parse("call").unwrap(),
        EventBody::check(Bytes::from_static(body)).unwrap(),
        UnixMillis::new(1_000),
    );
    let letter = Outgoing::dead_letter(&event, &EndpointName::default(), reason, died_at);
    stage.publisher.publish(letter).await.unwrap();
}

/// Starts a job and waits for its end. Returns its state and the number of dead letters done.
async fn run(stage: &Stage, path: &str, body: &Value) -> (Value, Value) {
    let started = stage.post(path, &body.to_string()).await;
    assert_eq!(started.status, StatusCode::ACCEPTED, "{started:?}");
    let path = format!("/jobs/{}", started.json["job"].as_str().unwrap());
    let ended = async {
        loop {
            let job = stage.get(&path).await.json;
            if job["state"] != "running" {
                break (job["state"].clone(), job["done"].clone());
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, ended).await.unwrap()
}

/// Returns the numbers of dead letters and of queued events.
async fn numbers(stage: &Stage) -> (Value, Value) {
    let dead = stage.get("/dead-letters").await.json["total"].clone();
    let endpoints = stage.get("/endpoints").await.json;
    (dead, endpoints["endpoints"][0]["queued"].clone())
}

/// Waits for these numbers of dead letters and of queued events: the store writes acks in
/// batches.
async fn wait_numbers(stage: &Stage, dead: u32, queued: u32) {
    let reached = async {
        while numbers(stage).await != (json!(dead), json!(queued)) {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, reached).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selected_dead_letters_are_redriven_and_the_rest_discarded() {
    let stage = Stage::open().await;
    for (id, reason) in [("e1", "timeout"), ("e2", "timeout"), ("e3", "answered 500")] {
        add_dead_letter(&stage, id, reason).await;
    }
    let list = stage.get("/dead-letters?reason=timeout").await.json;
    assert_eq!(list["total"], 2);
    let expected = json!([
        { "reason": "timeout", "count": 2 },
        { "reason": "answered 500", "count": 1 }
    ]);
    assert_eq!(list["groups"], expected);
    let dry = json!({ "filter": { "reason": "timeout" }, "dryRun": true });
    let counted = stage.post("/dead-letters/redrive", &dry.to_string()).await;
    assert_eq!(counted.status, StatusCode::OK);
    assert_eq!(counted.json["count"], 2);
    assert_eq!(numbers(&stage).await, (json!(3), json!(0)));

    let two = json!({ "ids": ["e1/default", "e2"] });
    let job = run(&stage, "/dead-letters/redrive", &two).await;
    assert_eq!(job, (json!("done"), json!(2)));
    wait_numbers(&stage, 1, 2).await;

    let all = json!({ "filter": {} });
    let job = run(&stage, "/dead-letters/discard", &all).await;
    assert_eq!(job, (json!("done"), json!(1)));
    wait_numbers(&stage, 0, 2).await;
    let actions = stage.operator.actions(10).await.unwrap();
    let recorded = actions.iter().map(|a| (a.action.as_str(), a.count));
    let recorded: Vec<_> = recorded.collect();
    assert_eq!(recorded, [("discard", 1), ("redrive", 2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_after_the_count_are_kept() {
    let stage = Stage::open().await;
    add_dead_letter(&stage, "e1", "timeout").await;
    let dry = json!({ "filter": {}, "dryRun": true }).to_string();
    let counted = stage.post("/dead-letters/discard", &dry).await.json;
    assert_eq!(counted["count"], 1);
    add_dead_letter_at(&stage, "e2", "timeout", clock::now().plus(SOON)).await;
    let filter = json!({ "filter": { "until": counted["until"] } });
    let job = run(&stage, "/dead-letters/discard", &filter).await;
    assert_eq!(job, (json!("done"), json!(1)));
    wait_numbers(&stage, 1, 0).await;
    let left = stage.get("/dead-letters").await.json;
    assert_eq!(left["deadLetters"][0]["eventId"], "e2");

    let invalid = json!({ "filter": { "until": "later" } }).to_string();
    let refused = stage.post("/dead-letters/discard", &invalid).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_behind_others_are_selected_and_the_others_kept() {
    let stage = Stage::open().await;
    let ids = ["e1", "e2", "e3", "e4", "e5"];
    for id in ids {
        add_dead_letter(&stage, id, "timeout").await;
    }
    let last = json!({ "ids": ["e5"] });
    let job = run(&stage, "/dead-letters/discard", &last).await;
    assert_eq!(job, (json!("done"), json!(1)));
    wait_numbers(&stage, 4, 0).await;
    let middle = json!({ "ids": ["e3", "e4"] });
    let job = run(&stage, "/dead-letters/redrive", &middle).await;
    assert_eq!(job, (json!("done"), json!(2)));
    wait_numbers(&stage, 2, 2).await;
    let left = stage.get("/dead-letters").await.json;
    let left = left["deadLetters"].as_array().unwrap();
    let left: Vec<_> = left.iter().map(|letter| &letter["eventId"]).collect();
    assert_eq!(left, ["e2", "e1"]);
}

#[tokio::test]
async fn endpoint_is_paused_while_the_log_answers_no_summary() {
    let stage = Stage::open().await;
    stage.log.refuse_summaries();
    let listed = stage.get("/endpoints").await;
    assert_eq!(listed.status, StatusCode::SERVICE_UNAVAILABLE);
    let paused = stage.post("/endpoints/default/pause", "{}").await;
    assert_eq!(paused.status, StatusCode::OK, "{paused:?}");
    assert_eq!(paused.json["paused"]["by"], "operator");
    assert_eq!(paused.json["failed"], Value::Null);
}

#[tokio::test]
async fn action_without_a_selection_is_refused() {
    let stage = Stage::open().await;
    for body in [
        "",
        "{}",
        r#"{"ids":[]}"#,
        r#"{"ids":["e1"],"filter":{}}"#,
        r#"{"all":1}"#,
    ] {
        let answer = stage.post("/dead-letters/discard", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    }
    for path in ["/test-event", "/endpoints/default/resume"] {
        let list = stage.post(path, "[null, null]").await;
        assert_eq!(list.status, StatusCode::BAD_REQUEST, "{path}");
    }
    let long = json!({ "filter": { "reason": "x".repeat(5_000) } });
    let answer = stage.post("/dead-letters/discard", &long.to_string()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_that_is_not_retried_is_not_given_up() {
    let stage = Stage::open().await;
    let path = "/deliveries/e1/default/give-up";
    let unknown = stage.post(path, "{}").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    stage.log.add(fake::logged("e1", 1_000));
    let job = run(&stage, path, &json!({})).await;
    assert_eq!(job, (json!("failed"), json!(0)));
    let jobs = stage.get("/jobs").await.json;
    let error = jobs["jobs"][0]["error"].as_str().unwrap();
    assert!(error.contains("is not held for default"), "{error}");
    assert_eq!(jobs["jobs"][0]["kind"], "give-up");
    assert!(stage.operator.actions(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn endpoint_is_paused_and_resumed_with_a_record_of_both() {
    let stage = Stage::open().await;
    let order = async |verb: &str, body: &str| {
        let path = format!("/endpoints/default/{verb}");
        stage.post(&path, body).await
    };
    let paused = order("pause", r#"{"reason":"new version"}"#).await;
    assert_eq!(paused.status, StatusCode::OK, "{paused:?}");
    assert_eq!(paused.json["paused"]["by"], "operator");
    assert_eq!(paused.json["paused"]["reason"], "new version");
    let resumed = order("resume", "").await;
    assert_eq!(resumed.json["paused"], Value::Null);
    let probed = order("probe", "{}").await;
    assert_eq!(probed.status, StatusCode::ACCEPTED);
    let unknown = stage.post("/endpoints/missing/pause", "{}").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let actions = stage.operator.actions(10).await.unwrap();
    let recorded: Vec<_> = actions.iter().map(|a| a.action.as_str()).collect();
    assert_eq!(recorded, ["probe", "resume", "pause"]);
    assert!(actions[0].who.starts_with("console"), "{actions:?}");
}

#[tokio::test]
async fn test_event_is_queued_for_its_endpoint() {
    let stage = Stage::open().await;
    let sent = stage
        .post("/test-event", r#"{"event":"order.created"}"#)
        .await;
    assert_eq!(sent.status, StatusCode::ACCEPTED, "{sent:?}");
    assert!(sent.json["eventId"].is_string());
    let named = stage.post("/test-event", r#"{"endpoint":"default"}"#).await;
    assert_eq!(named.status, StatusCode::ACCEPTED);
    assert_eq!(numbers(&stage).await.1, 2);
    let missing = stage.post("/test-event", r#"{"endpoint":"missing"}"#).await;
    assert_eq!(missing.status, StatusCode::CONFLICT);
    let invalid = stage.post("/test-event", r#"{"event":"no name"}"#).await;
    assert_eq!(invalid.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn unknown_job_is_not_found() {
    let stage = Stage::open().await;
    assert_eq!(stage.get("/jobs").await.json, json!({ "jobs": [] }));
    let cancelled = stage.send(Method::DELETE, "/jobs/1", &[], "").await;
    assert_eq!(cancelled.status, StatusCode::NOT_FOUND);
}
