//! The gateways that post with axios, in their own words.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use wahook_tests::workspace;

use crate::cases::cases;
use crate::redaction::redacted;
use crate::stage::Stage;

const TOKEN: &str = "a-token-of-good-length";
const JWT_KEY: &str = "a-jwt-key-of-evolution";

/// Posts each body with the code of the gateway. Returns the texts that axios sent, and the
/// answers.
async fn run(gateway: &str, url: String, bodies: &[String]) -> Vec<(String, Value)> {
    let script = workspace().join("tests/node/axios-gateways.js");
    let input = format!("[{}]", bodies.join(","));
    let gateway = gateway.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut node = Command::new("node")
            .arg(script)
            .args([&gateway, &url, TOKEN, JWT_KEY])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        node.stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        node.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    assert!(output.status.success(), "run `make install` first");
    let sent: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let sent = sent.into_iter();
    sent.map(|one| {
        (
            one["sent"].as_str().unwrap().to_owned(),
            one["answer"].clone(),
        )
    })
    .collect()
}

/// Delivers all samples of a kind as the gateway posts them. Events with the same key are
/// posted once.
async fn delivers_all(gateway: &str, kind: &str, url_end: &str, settings: &str) {
    let sources = format!("[[source]]\nname = \"{kind}\"\nkind = \"{kind}\"\n{settings}");
    let stage = Stage::start(&sources, &[("PRODUCER_TOKEN", TOKEN)]).await;
    let cases = cases(kind).into_iter().filter(|case| case.path.is_empty());
    let bodies: Vec<_> = cases.map(|case| case.body).collect();
    let login = if url_end == "@" {
        format!("wahook:{TOKEN}@")
    } else {
        String::new()
    };
    let producer = stage
        .producer
        .replace("http://", &format!("http://{login}"));
    let url = format!("{producer}/v1/in/{kind}{}", url_end.trim_start_matches('@'));
    let sent = run(gateway, url, &bodies).await;
    assert_eq!(sent.len(), bodies.len());
    let mut delivered = 0;
    for (text, answer) in sent {
        let status = answer["status"].as_u64();
        assert!(
            matches!(status, Some(200 | 202)),
            "{gateway}: {answer} {text}"
        );
        if answer["data"]["duplicate"] == json!(true) {
            continue;
        }
        delivered += 1;
        let post = stage.delivery(answer["data"]["id"].as_str().unwrap()).await;
        assert_eq!(post.body, redacted(kind, &text), "{gateway}");
        assert_eq!(
            post.header("content-type"),
            Some("application/json"),
            "{gateway}"
        );
    }
    assert_eq!(stage.posts_so_far("last").await, delivered);
    assert!(
        delivered > bodies.len() / 3,
        "{gateway}: {delivered} of {}",
        bodies.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wwebjs_api_posts_with_its_api_key() {
    delivers_all("wwebjs", "wwebjs", "", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evolution_posts_with_a_header_for_all_events() {
    delivers_all("evolution", "evolution", "", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evolution_posts_with_a_jwt_by_events() {
    let settings = format!("secret = \"{JWT_KEY}\"\n");
    delivers_all("evolution-jwt", "evolution", "", &settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evolution_posts_by_events_to_a_url_with_a_token() {
    let token = format!("?token={TOKEN}");
    delivers_all("evolution-global", "evolution", &token, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wppconnect_posts_to_a_url_with_a_token() {
    let token = format!("?token={TOKEN}");
    delivers_all("wppconnect", "wppconnect", &token, "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wppconnect_posts_to_a_url_with_a_login() {
    delivers_all("wppconnect", "wppconnect", "@", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_wa_posts_with_a_header() {
    delivers_all("open-wa", "open-wa", "", "").await;
}
