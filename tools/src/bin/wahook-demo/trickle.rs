//! Gateway that sends sample events indefinitely.

use std::time::Duration;

use serde_json::{Value, json};
use wahook_tests::http_client::http_client;

pub(crate) async fn send(
    producer: &str,
    token: Option<&str>,
    per_minute: u32,
) -> anyhow::Result<()> {
    let http = http_client()?;
    let url = format!("{producer}/v1/events");
    let mut pause = tokio::time::interval(Duration::from_secs(60) / per_minute.max(1));
    let mut is_reported = false;
    for n in 0_u64.. {
        pause.tick().await;
        let mut request = http
            .post(&url)
            .header("content-type", "application/json")
            .body(sample(n).to_string());
        if let Some(token) = token {
            request = request.bearer_auth(token.trim());
        }
        let said = match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                is_reported = false;
                continue;
            }
            Ok(answer) => answer.status().to_string(),
            Err(error) => error.to_string(),
        };
        // Logs once per outage, not once per event.
        if !is_reported {
            eprintln!("wahook-demo: {url}: {said}");
        }
        is_reported = true;
    }
    Ok(())
}

fn sample(n: u64) -> Value {
    let chat = format!("{}@c.us", 1_555_000 + n % 40);
    let id = json!({"_serialized": format!("true_{chat}_{n:016X}")});
    match n % 6 {
        0 => json!({"event": "message_ack", "data": {"id": id, "ack": 2 + n % 2}}),
        1 => {
            json!({"event": "message_reaction", "data": {"id": id, "reaction": "👍", "senderId": chat}})
        }
        _ => json!({"event": "message_create", "data": {
            "id": id, "body": format!("Hello, this is message {n}"), "type": "chat",
            "from": chat, "to": "15550000@c.us", "fromMe": false, "hasMedia": false, "isForwarded": false,
        }}),
    }
}
