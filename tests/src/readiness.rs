//! Readiness of a consumer, and its parts.

use serde_json::Value;

use crate::eventually::{AT_LAST, eventually};
use crate::http_client::http_client;
use crate::or_fail;

/// Waits until a consumer, at this URL of its operators, has declared its endpoints: before that,
/// events are refused. The consumer may still not be ready, while an endpoint is paused.
pub async fn wait_consuming(operators: &str) {
    let url = format!("{operators}/readyz");
    let http = or_fail("an HTTP client", http_client());
    eventually(AT_LAST, "declared endpoints", || async {
        let answer = http.get(&url).send().await.ok()?.bytes().await.ok()?;
        let readiness: Value = serde_json::from_slice(&answer).ok()?;
        let check = readiness.pointer("/checks/broker_consuming/ok")?;
        (check == &Value::Bool(true)).then_some(())
    })
    .await;
}

/// Waits until `/readyz` of a program at this URL has the text. The program is ready throughout.
pub async fn wait_noted(operators: &str, text: &str) {
    let url = format!("{operators}/readyz");
    let http = or_fail("an HTTP client", http_client());
    eventually(AT_LAST, text, || async {
        let answer = http.get(&url).send().await.ok()?;
        assert_eq!(answer.status(), 200, "{url}");
        answer.text().await.ok()?.contains(text).then_some(())
    })
    .await;
}
