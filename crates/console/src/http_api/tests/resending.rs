//! Redeliveries, into the queues of a data file.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use wahook_domain::AttemptNumber;

use super::stage::Stage;
use crate::fake::logged;

const SOON: Duration = Duration::from_secs(60);

/// Adds failed deliveries to the endpoint `default`.
fn add(stage: &Stage, ids: &[&str]) {
    for (at, id) in (1_000..).zip(ids) {
        stage.log.add(logged(id, at));
    }
}

async fn post(stage: &Stage, body: &Value) -> (StatusCode, Value) {
    let answer = stage.post("/redeliveries", &body.to_string()).await;
    (answer.status, answer.json)
}

/// Starts a job, and returns its path.
async fn start(stage: &Stage, body: &Value) -> String {
    let (status, started) = post(stage, body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    format!("/jobs/{}", started["job"].as_str().unwrap())
}

/// Waits for the end of a job, and returns it.
async fn ended(stage: &Stage, job: &str) -> Value {
    let ended = async {
        loop {
            let job = stage.get(job).await.json;
            if job["state"] != "running" {
                break job;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, ended).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn selected_deliveries_are_queued_as_redeliveries_with_their_ids() {
    let stage = Stage::open().await;
    add(&stage, &["e1", "e2", "e3"]);
    let ids = json!({ "ids": ["e1/default", "e2", "missing", "lost/default"] });
    let job = ended(&stage, &start(&stage, &ids).await).await;
    assert_eq!(
        (&job["kind"], &job["state"]),
        (&json!("redelivery"), &json!("failed"))
    );
    assert_eq!(
        (&job["count"], &job["done"], &job["failed"]),
        (&json!(4), &json!(2), &json!(2))
    );
    assert_eq!(job["error"], "2 not sent: the log has no such delivery");
    let queued = stage.queued("default");
    let mut ids: Vec<_> = queued.iter().map(|event| event.id.as_str()).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["e1", "e2"]);
    for event in &queued {
        assert!(event.is_redelivery && event.redriven_at.is_some());
        assert_eq!(event.attempt, AttemptNumber::FIRST);
        let body = str::from_utf8(event.body.as_bytes()).unwrap();
        assert!(body.starts_with(r#"{"event":"call","data":{"body":"hello"},"timestamp":"1970"#));
    }
    let actions = stage.operator.actions(10).await.unwrap();
    assert_eq!(
        (actions[0].action.as_str(), actions[0].count),
        ("redelivery", 4)
    );
    assert!(actions[0].subject.contains("e1/default"), "{actions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_that_match_are_counted_and_sent_to_another_endpoint() {
    let stage = Stage::open().await;
    add(&stage, &["e1", "e2", "e3"]);
    let filter = json!({ "status": "failed", "since": "1970-01-01T00:00:00Z" });
    let dry = json!({ "filter": filter, "dryRun": true });
    assert_eq!(
        post(&stage, &dry).await,
        (StatusCode::OK, json!({ "count": 3 }))
    );
    assert!(stage.queued("default").is_empty());
    assert!(stage.operator.actions(10).await.unwrap().is_empty());

    let to_other = json!({ "filter": filter, "endpoint": "other", "rate": 1000 });
    let job = ended(&stage, &start(&stage, &to_other).await).await;
    assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(3)));
    assert_eq!(stage.queued("other").len(), 3);
    assert!(stage.queued("default").is_empty());
}

#[tokio::test]
async fn refused_redelivery_says_what_to_change() {
    let stage = Stage::open().await;
    add(&stage, &["e1"]);
    for (body, hint) in [
        (
            json!({ "ids": ["e1"], "endpoint": "crm" }),
            "the known ones are: default, other",
        ),
        (
            json!({ "ids": ["e1"], "rate": 0 }),
            "rate must be from 1 to 1000",
        ),
        (json!({ "filter": { "status": "failed" } }), "set since"),
        (
            json!({ "filter": { "since": "1h", "colour": "red" } }),
            "colour",
        ),
        (json!({}), "send either ids"),
    ] {
        let (status, problem) = post(&stage, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(hint), "{detail}");
    }
    assert!(stage.queued("default").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_job_leaves_the_rest() {
    let stage = Stage::open().await;
    add(&stage, &["e1", "e2", "e3", "e4", "e5"]);
    let slow = json!({ "filter": { "since": "1970-01-01T00:00:00Z" }, "rate": 1 });
    let path = start(&stage, &slow).await;
    let cancelled = stage.send(
        Method::DELETE,
        &path,
        &[("content-type", "application/json")],
        "",
    );
    assert_eq!(cancelled.await.status, StatusCode::ACCEPTED);
    let job = ended(&stage, &path).await;
    assert_eq!(job["state"], "cancelled", "{job}");
    let queued = stage.queued("default");
    assert!(queued.len() < 5, "{job}");
    assert_eq!(job["done"], queued.len());
    let actions = stage.operator.actions(10).await.unwrap();
    assert_eq!(actions[0].action, "cancel");
    assert!(actions[0].subject.starts_with("job "), "{actions:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_job_is_continued_where_it_was() {
    let stage = Stage::open().await;
    let events = ["e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"];
    add(&stage, &events);
    let slow = json!({ "filter": { "since": "1970-01-01T00:00:00Z" }, "rate": 1 });
    let path = start(&stage, &slow).await;
    let begun = async {
        while stage.queued("default").is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, begun).await.unwrap();
    stage.restart_jobs().await;
    let job = stage.get(&path).await.json;
    assert_eq!(job["state"], "running", "{job}");
    let job = ended(&stage, &path).await;
    assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(8)));
    let queued = stage.queued("default");
    let ids: Vec<_> = queued.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, events);
}
