//! Requests that no gateway of the kind can send, and limits.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::cases::{KINDS, cases};
use crate::stage::Stage;

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_source_is_answered_with_the_known_names() {
    let stage = Stage::start("", &[]).await;
    for name in ["whatsapp", "WAHA", "waha2/path", "%2e", ""] {
        let answer = stage.post_json(name, "{}").await;
        assert_eq!(answer.status, 404, "{name}: {}", answer.body);
    }
    let answer = stage.post_json("whatsapp", "{}").await.json();
    let detail = answer["detail"].as_str().unwrap();
    for kind in KINDS {
        assert!(detail.contains(kind), "{detail}");
    }
    assert!(detail.contains("WAHOOK_SOURCES"), "{detail}");
    stage.program.wait_logged("unknown_source").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn body_of_another_gateway_is_refused_by_name() {
    let stage = Stage::start("", &[]).await;
    for kind in KINDS {
        for (content_type, body, expected) in [
            ("application/json", "{", 400),
            ("application/json", "", 400),
            ("application/xml", "<event/>", 415),
        ] {
            let headers = [("content-type", content_type)];
            let answer = stage.post(kind, &headers, body).await;
            assert_eq!(answer.status, expected, "{kind} {body}: {}", answer.body);
        }
        // Events of wppconnect can have other members.
        let is_any = matches!(kind, "generic" | "wppconnect");
        if !is_any {
            let answer = stage.post_json(kind, r#"{"hello":1}"#).await;
            assert_eq!(answer.status, 422, "{kind}: {}", answer.body);
        }
        let refused = stage.metrics().await;
        let labels = [("source", kind)];
        let refused = refused.sum_where("wahook_source_events_refused_total", &labels);
        assert_eq!(refused, if is_any { 3.0 } else { 4.0 }, "{kind}");
    }
    for method in ["PUT", "DELETE"] {
        let method: reqwest::Method = method.parse().unwrap();
        let url = format!("{}/v1/in/waha", stage.producer);
        let answer = reqwest::Client::new().request(method, url).send().await;
        assert_eq!(answer.unwrap().status(), 405);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_body_is_delivered_as_its_text() {
    let stage = Stage::start("", &[]).await;
    for kind in KINDS {
        let body = cases(kind).swap_remove(0).body;
        let headers = [
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
        ];
        let answer = stage.post(kind, &headers, gzipped(&body)).await;
        assert!(answer.status.is_success(), "{kind}: {}", answer.body);
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        let post = stage.delivery(&id).await;
        assert_eq!(post.header("content-encoding"), None);
        assert_eq!(post.body, crate::redaction::redacted(kind, &body), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn larger_bodies_than_those_of_the_source_are_refused() {
    let source = |name: &str, limit: &str| {
        format!("[[source]]\nname = \"{name}\"\nkind = \"generic\"\n{limit}\n")
    };
    let sources = source("small", "max_body_bytes = 2000") + &source("other", "");
    let stage = Stage::start(&sources, &[("PRODUCER_MAX_BODY_BYTES", "4000")]).await;
    let body = |bytes: usize| {
        let frame = r#"{"event":"x","a":""}"#;
        frame.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - frame.len())))
    };
    for (name, bytes, expected) in [
        ("small", 2000, 202),
        ("small", 2001, 413),
        ("other", 2001, 202),
        ("other", 4001, 413),
    ] {
        let answer = stage.post_json(name, &body(bytes)).await;
        assert_eq!(answer.status, expected, "{name} {bytes}: {}", answer.body);
    }
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    let answer = stage.post("small", &headers, gzipped(&body(2001))).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idempotency_key_of_a_request_is_the_id_of_its_event() {
    let stage = Stage::start("", &[]).await;
    let [first, other] = [r#"{"event":"x"}"#, r#"{"event":"y"}"#];
    let post = |key: &'static str, body: &'static str| {
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", key),
        ];
        let stage = &stage;
        async move { stage.post("generic", &headers, body).await }
    };
    assert_eq!(post("order-17", first).await.accepted_id(), "order-17");
    stage.delivery("order-17").await;
    let again: Value = post("order-17", first).await.json();
    assert_eq!(again["id"], "order-17");
    assert_eq!(again["duplicate"], json!(true), "{again}");
    assert_eq!(post("order-17", other).await.status, 422);
    assert_eq!(post("not valid\u{e9}", first).await.status, 400);
    assert_eq!(stage.posts_so_far("last").await, 1);
}
