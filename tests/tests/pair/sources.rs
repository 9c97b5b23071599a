//! Requests of gateways on RabbitMQ and MongoDB.

use mongodb::bson::{Bson, Document, doc};
use reqwest::StatusCode;
use serde_json::Value;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::{Pair, SECRET};
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::world::{Test, Tests};

pub(crate) const MESSAGE: &str = r#"{ "event":"message","device_id":"15550002222@s.whatsapp.net","session_id":"org_2","payload":{"id":"3EB0C127D7BACC83D6A1","chat_id":"15550001111@s.whatsapp.net","from":"15550001111@s.whatsapp.net","timestamp":"2025-11-28T08:20:00Z","is_from_me":false,"body":"Ol\u00e1"}}"#;

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_request_of_a_gateway_is_delivered_unchanged_and_logged_with_its_origin",
        unchanged,
    );
    tests.add("a_form_of_a_gateway_is_logged_as_its_members", form);
    tests.add(
        "a_request_of_a_gateway_is_retried_unchanged_and_dead_lettered_with_its_origin",
        retried,
    );
}

/// Posts to `/v1/in/{to}`, and returns the status and the id.
pub(crate) async fn post(
    pair: &Pair,
    to: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (StatusCode, String) {
    let url = format!("{}/v1/in/{to}", pair.producer.base_url());
    let request = http_client().unwrap().post(url).body(body.to_owned());
    let headers = headers.iter();
    let request = headers.fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    (status, answer["id"].as_str().unwrap().to_owned())
}

pub(crate) fn check(post: &Post) {
    assert_eq!(post.body, MESSAGE);
    assert!(post.verify(SECRET).is_valid(), "{}", post.verify(SECRET));
    for (name, value) in [
        ("content-type", "application/json; charset=utf-8"),
        ("x-hub-signature-256", "sha256=00ff"),
        ("x-webhook-event", "message"),
        ("x-webhook-source", "gowa"),
        ("x-webhook-session", "org_2"),
    ] {
        assert_eq!(post.header(name), Some(value));
    }
}

fn check_origin(record: &Document) {
    for (name, value) in [
        ("source", "gowa"),
        ("session", "org_2"),
        ("chat", "15550001111@s.whatsapp.net"),
        ("messageId", "3EB0C127D7BACC83D6A1"),
    ] {
        assert_eq!(record.get_str(name).ok(), Some(value), "{record}");
    }
}

pub(crate) const HEADERS: [(&str, &str); 2] = [
    ("content-type", "application/json; charset=utf-8"),
    ("x-hub-signature-256", "sha256=00ff"),
];

async fn unchanged(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let (status, id) = post(&pair, "gowa", &HEADERS, MESSAGE).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let again = post(&pair, "gowa", &HEADERS, MESSAGE).await;
    assert_eq!(again, (StatusCode::OK, id.clone()));
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    check(&posts[0]);
    let record = pair.wait_record(&id, AT_LAST, |_| true).await;
    check_origin(&record);
    assert_eq!(record.get_str("event").ok(), Some("message"));
    let payload = record.get_document("payload").unwrap();
    let mut members: Vec<_> = payload.keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["device_id", "event", "payload", "session_id"]);
    let message = payload.get_document("payload").unwrap();
    assert_eq!(message.get_str("body").ok(), Some("Olá"));
}

async fn form(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = "instanceName=shop1&jsonData=%7B%22type%22%3A%22QR%22%7D&token=hunter2";
    let (_, id) = post(&pair, "wuzapi", &form, body).await;
    let posts = pair.receiver.wait_for(1, AT_LAST).await;
    assert_eq!(posts[0].body, body.replace("hunter2", "%5Bredacted%5D"));
    assert_eq!(posts[0].header(form[0].0), Some(form[0].1));
    let record = pair.wait_record(&id, AT_LAST, |_| true).await;
    let payload = doc! {"type": "QR", "instanceName": "shop1", "token": "[redacted]"};
    assert_eq!(record.get_document("payload").ok(), Some(&payload));
    assert_eq!(record.get_str("session").ok(), Some("shop1"));
    assert!(
        matches!(record.get("chat"), None | Some(Bson::Null)),
        "{record}"
    );
}

async fn retried(test: Test) {
    let receiver = Receiver::answering(|_| Answer::status(500)).await;
    let settings = [
        ("WEBHOOK_RETRY_ATTEMPTS", "1"),
        ("WEBHOOK_RETRY_DELAY", "300"),
    ];
    let pair = test.pair(receiver, &settings).await;
    let (_, id) = post(&pair, "gowa", &HEADERS, MESSAGE).await;
    let posts = pair.receiver.wait_for(2, AT_LAST).await;
    for (post, attempt) in posts.iter().zip(1..) {
        assert_eq!(post.attempt(), Some(attempt));
        check(post);
    }
    let is_failed = |record: &Document| record.get_str("status").ok() == Some("failed");
    let record = pair.wait_record(&id, AT_LAST, is_failed).await;
    check_origin(&record);
}
