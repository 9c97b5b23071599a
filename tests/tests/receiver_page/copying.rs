//! Deliveries copied as `curl` commands, sent again by a real shell.

use std::process::Command;

use serde_json::{Value, json};

use super::stage::{Delivery, Stage};

#[tokio::test]
async fn a_copied_curl_command_sends_the_same_bytes_again() {
    let stage = Stage::start().await;
    let page = stage.browser().await;
    let text = json!({ "body": "it's \"50%\" $HOME `id` \\n !! \\u0007 é 👋\n@x" });
    let large = json!({ "body": "'x%\\".repeat(20_000) });
    let deliveries = [
        Delivery::event("message_create", "evt_1", &text),
        Delivery::event("message_create", "evt_2", &json!({})).body(every_byte()),
        Delivery::event("message_create", "evt_3", &large),
        Delivery::event("ready", "evt_4", &json!({})).body("@/etc/passwd\n'\n"),
    ];
    for (n, delivery) in (0..).zip(&deliveries) {
        let (first, again) = (2 * n + 1, 2 * n + 2);
        stage.send(delivery).await;
        page.wait(&format!("document.getElementById('delivery-{first}')"))
            .await;
        page.click(&format!("#delivery-{first}")).await;
        page.wait_text("#detail-title", &format!("number {first}"))
            .await;
        page.click("#copy-curl").await;
        page.wait_text("#copied", "copied").await;
        let command = page.clipboard().await;
        let copied = format!(
            "^{first}: {}",
            command.chars().take(400).collect::<String>()
        );
        let ran = tokio::task::spawn_blocking(move || {
            Command::new("sh").args(["-c", &command]).output().unwrap()
        });
        let ran = ran.await.unwrap();
        assert!(ran.status.success(), "{copied}: {ran:?}");
        assert_eq!(stage.body_of(again).await, delivery.body, "{copied}");
        let (first, again) = (sent(&stage, first).await, sent(&stage, again).await);
        assert_eq!(first, again, "{copied}");
    }
}

fn every_byte() -> Vec<u8> {
    (0..=255).rev().chain(0..=255).collect()
}

/// Returns method, target and headers, without `Content-Length`.
async fn sent(stage: &Stage, number: u64) -> (Value, Value, Vec<Value>) {
    let mut detail = stage.ask(&format!("deliveries/{number}")).await;
    let mut headers = detail["headers"].as_array().unwrap().clone();
    headers.retain(|pair| pair[0] != "content-length");
    headers.sort_by_key(|pair| pair[0].as_str().unwrap().to_owned());
    (detail["method"].take(), detail["target"].take(), headers)
}
