//! Requests that the producer refuses, and its answers.

use reqwest::StatusCode;
use serde_json::json;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::Answered;
use wahook_tests::program::Program;
use wahook_tests::receiver::Receiver;

use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("every_refusal_is_a_problem_document", problem_documents);
    tests.add("requests_without_a_valid_token_are_answered_401", tokens);
    tests.add(
        "lenient_validation_warns_and_strict_validation_refuses",
        validation,
    );
    tests.add(
        "events_before_the_first_consumer_are_answered_503",
        no_endpoint,
    );
    tests.add(
        "operations_port_of_a_consumer_refuses_foreign_hosts_and_pages",
        foreign_hosts,
    );
}

async fn foreign_hosts(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let consumer = pair.take_consumer();
    let http = http_client().unwrap();
    let status = async |path: &str, headers: &[(&str, &str)]| {
        let mut request = http.get(format!("{}{path}", consumer.base_url()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap().status()
    };
    for path in ["/metrics", "/readyz"] {
        for foreign in [
            ("host", "evil.example"),
            ("host", "127.0.0.1.evil.example"),
            ("origin", "http://evil.example"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let refused = status(path, &[foreign]).await;
            assert_eq!(refused, StatusCode::FORBIDDEN, "{path} {foreign:?}");
        }
        for own in [&[][..], &[("host", "localhost:9090")]] {
            assert_eq!(status(path, own).await, StatusCode::OK, "{path} {own:?}");
        }
    }
}

#[track_caller]
fn assert_problem(answer: &Answered, status: u16, kind: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.body);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let problem = answer.json();
    assert_eq!(problem["type"], format!("urn:wahook:problem:{kind}"));
    assert_eq!(problem["status"], status);
    assert!(
        problem["title"].is_string() && problem["detail"].is_string(),
        "{problem}"
    );
}

async fn problem_documents(test: Test) {
    let pair = test
        .pair(
            Receiver::start().await,
            &[("PRODUCER_MAX_BODY_BYTES", "2048")],
        )
        .await;
    let json = ("content-type", "application/json");
    let bad = pair.post_with(&[json], r#"{"event":"test",}"#).await;
    assert_problem(&bad, 400, "not-json");
    assert_eq!(bad.json()["offset"], 16);
    let invalid = pair.post_with(&[json], r#"{"event":"No","data":[]}"#).await;
    assert_problem(&invalid, 422, "invalid-event");
    let pointers: Vec<_> = invalid.json()["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["pointer"].clone())
        .collect();
    assert_eq!(pointers, ["/event", "/data"]);
    let large = format!(
        r#"{{"event":"test","data":{{"x":"{}"}}}}"#,
        "x".repeat(4096)
    );
    assert_problem(&pair.post_with(&[json], large).await, 413, "too-large");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_problem(
        &pair.post_with(&form, "event=test").await,
        415,
        "unsupported-media-type",
    );
    let key = [json, ("idempotency-key", "a b")];
    assert_problem(
        &pair.post_with(&key, r#"{"event":"test"}"#).await,
        400,
        "invalid-idempotency-key",
    );
    let key = [json, ("x-webhook-key", "a b")];
    assert_problem(
        &pair.post_with(&key, r#"{"event":"test"}"#).await,
        400,
        "invalid-webhook-key",
    );

    let http = http_client().unwrap();
    let url = pair.producer.base_url();
    assert_eq!(
        http.get(format!("{url}/v1/events"))
            .send()
            .await
            .unwrap()
            .status(),
        405
    );
    assert_eq!(
        http.get(format!("{url}/nothing"))
            .send()
            .await
            .unwrap()
            .status(),
        404
    );
    assert_eq!(
        http.get(format!("{url}/livez"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );

    pair.post(&json!({"event": "test"})).await.accepted_id();
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    assert_eq!(posts.len(), 1, "refused events are not delivered");
    let refused = pair.producer.metrics().await;
    for reason in [
        "not_json",
        "invalid_event",
        "too_large",
        "unsupported_media_type",
    ] {
        let counted = refused.sum_where("wahook_events_refused_total", &[("reason", reason)]);
        assert_eq!(counted, 1.0, "{reason}");
    }
}

async fn tokens(test: Test) {
    let (old, new) = ("an-old-token-0123456789", "a-new-token-0123456789");
    let both = format!("{old},{new}");
    let pair = test
        .pair(Receiver::start().await, &[("PRODUCER_TOKEN", &both)])
        .await;
    let event = r#"{"event":"test"}"#;
    let refused = pair.post_with(&[], event).await;
    assert_problem(&refused, 401, "unauthorized");
    assert_eq!(refused.headers["www-authenticate"], "Bearer");
    let wrong = [("authorization", "Bearer a-wrong-token-0123456789")];
    assert_problem(&pair.post_with(&wrong, event).await, 401, "unauthorized");
    for token in [old, new] {
        let header = format!("Bearer {token}");
        pair.post_with(&[("authorization", &header)], event)
            .await
            .accepted_id();
    }
}

async fn validation(test: Test) {
    let deviating = json!({"event": "ready"});
    let lenient = test.pair(Receiver::start().await, &[]).await;
    let answer = lenient.post(&deviating).await;
    answer.accepted_id();
    assert_eq!(answer.json()["warnings"][0]["pointer"], "/data/info");
    let strict = test
        .pair(
            Receiver::start().await,
            &[("PRODUCER_VALIDATION", "strict")],
        )
        .await;
    assert_problem(&strict.post(&deviating).await, 422, "invalid-event");
}

async fn no_endpoint(test: Test) {
    let producer = Program::producer(&[("AMQP_URL", &test.place().amqp_url)]).await;
    producer.wait_ready(AT_LAST).await;
    let url = format!("{}/v1/events", producer.base_url());
    let request = http_client().unwrap().post(url).body(r#"{"event":"test"}"#);
    let request = request.header("content-type", "application/json");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    let problem: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(problem["type"], "urn:wahook:problem:no-endpoint");
}
