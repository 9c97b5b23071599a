//! Answers about deliveries.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::stage::{Answer, Stage};
use crate::fake::logged;

fn ids(answer: &Answer) -> Vec<&str> {
    let list = answer.json["deliveries"].as_array().unwrap();
    let ids = list.iter().filter_map(|one| one["eventId"].as_str());
    ids.collect()
}

#[tokio::test]
async fn pages_are_complete_while_deliveries_arrive() {
    let stage = Stage::open().await;
    for (id, at) in [("e1", 1_000), ("e2", 2_000), ("e3", 3_000)] {
        stage.log.add(logged(id, at));
    }
    let first = stage.get("/deliveries?limit=2").await;
    assert_eq!(ids(&first), ["e3", "e2"]);
    let cursor = first.json["next"].as_str().unwrap();
    stage.log.add(logged("e4", 4_000));
    let path = format!("/deliveries?limit=2&cursor={cursor}");
    let second = stage.get(&path).await;
    assert_eq!(ids(&second), ["e1"]);
    assert_eq!(second.json["next"], Value::Null);
}

#[tokio::test]
async fn delivery_has_the_names_of_the_log() {
    let stage = Stage::open().await;
    stage.log.add(logged("e1", 1_000));
    let list = stage.get("/deliveries?status=failed").await;
    let expected = json!({
        "eventId": "e1", "endpoint": "default", "event": "call",
        "webhookUrl": "https://example.com/hook", "status": "failed", "statusCode": 500,
        "retryCount": 1, "errorMessage": "answered 500",
        "createdAt": "1970-01-01T00:00:01.000Z", "updatedAt": "1970-01-01T00:00:01.000Z",
        "lastRetryAt": "1970-01-01T00:00:01.000Z", "completedAt": "1970-01-01T00:00:01.000Z",
        "nextAttemptAt": null, "source": null, "session": null, "chat": null,
        "messageId": null, "attemptCount": 2
    });
    assert_eq!(list.json["deliveries"], json!([expected]));
    let detail = stage.get("/deliveries/e1/default").await;
    assert_eq!(detail.json["payload"], json!({ "body": "hello" }));
    assert_eq!(detail.json["attempts"][1]["number"], 2);
    let response = &detail.json["attempts"][1]["response"];
    assert_eq!(response, "secret of the receiver");
    assert_eq!(detail.json["headers"]["webhook-id"], "e1");
    let missing = stage.get("/deliveries/e2/default").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn attempts_of_another_event_with_the_same_id_are_marked() {
    let stage = Stage::open().await;
    let mut mixed = logged("e1", 1_000);
    mixed.attempts[1].other_event = true;
    stage.log.add(mixed);
    let detail = stage.get("/deliveries/e1/default").await.json;
    assert_eq!(detail["attempts"][0].get("otherEvent"), None);
    assert_eq!(detail["attempts"][1]["otherEvent"], true);
}

#[tokio::test]
async fn payloads_can_be_hidden() {
    let stage = Stage::with(&[("CONSOLE_PAYLOADS", "off")]).await;
    stage.log.add(logged("e1", 1_000));
    assert_eq!(stage.get("/session").await.json["payloads"], false);
    let detail = stage.get("/deliveries/e1/default").await.json;
    assert_eq!(detail["payload"], Value::Null);
    assert_eq!(detail["payloadHidden"], true);
    for hidden in ["hello", "secret of the receiver"] {
        assert!(!detail.to_string().contains(hidden), "{detail}");
    }
}

#[tokio::test]
async fn invalid_queries_are_refused_with_the_name() {
    let stage = Stage::open().await;
    for (query, name) in [
        ("deliveries?colour=red", "colour"),
        ("deliveries?status=lost", "status"),
        ("deliveries?limit=0", "limit"),
        ("deliveries?cursor=x", "cursor"),
        ("deliveries?since=yesterday", "since"),
        ("deliveries?error=timeout&since=30d", "error"),
        ("stats?since=40d", "since"),
        ("dead-letters?colour=red", "colour"),
        ("events/live?status=retrying", "status"),
    ] {
        let answer = stage.get(&format!("/{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        let detail = answer.json["detail"].as_str().unwrap();
        assert!(detail.contains(name), "{query}: {detail}");
    }
}

#[tokio::test]
async fn invalid_paths_are_refused_with_a_problem_document() {
    let stage = Stage::open().await;
    for path in ["/deliveries/%FF/default", "/jobs/%FF"] {
        let answer = stage.get(path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    let answer = stage.post("/endpoints/%FF/pause", "{}").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
}

#[tokio::test]
async fn stats_of_a_day_have_24_hours() {
    let stats = Stage::open().await.get("/stats").await.json;
    assert_eq!(stats["hours"].as_array().unwrap().len(), 24);
    assert_eq!(stats["success"], 0);
}

#[tokio::test]
async fn every_served_path_is_described() {
    let document = Stage::open().await.get("/openapi.json").await.json;
    let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
    let served = [
        "/api/v1/dead-letters",
        "/api/v1/dead-letters/discard",
        "/api/v1/dead-letters/redrive",
        "/api/v1/deliveries",
        "/api/v1/deliveries/{eventId}/{endpoint}",
        "/api/v1/deliveries/{eventId}/{endpoint}/give-up",
        "/api/v1/endpoints",
        "/api/v1/endpoints/{name}/pause",
        "/api/v1/endpoints/{name}/probe",
        "/api/v1/endpoints/{name}/resume",
        "/api/v1/erasures",
        "/api/v1/events/live",
        "/api/v1/jobs",
        "/api/v1/jobs/{job}",
        "/api/v1/openapi.json",
        "/api/v1/redeliveries",
        "/api/v1/session",
        "/api/v1/stats",
        "/api/v1/test-event",
        "/livez",
        "/readyz",
    ];
    assert_eq!(paths, served);
}
