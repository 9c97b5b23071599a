//! Running receiver, the deliveries sent to it, and a browser with its page.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Response;
use serde_json::{Value, json};
use sha2::Sha256;
use wahook_tests::browser::{Browser, Screen};
use wahook_tests::http_client::http_client;
use wahook_tests::program::Program;

pub(crate) const SECRET: &str = "a secret that only the tests know";
/// Script expression for the number of rows in the list.
pub(crate) const ROWS: &str = "document.querySelectorAll('#list li').length";

/// Running receiver program with an HTTP client.
pub(crate) struct Stage {
    pub(crate) receiver: Program,
    pub(crate) http: reqwest::Client,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::with(&[("WEBHOOK_SECRET", SECRET)]).await
    }

    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        Self {
            receiver: Program::receiver(settings).await,
            http: http_client().unwrap(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.receiver.base_url())
    }

    pub(crate) async fn browser(&self) -> Browser {
        self.browser_on(Screen::Desktop).await
    }

    /// Opens the page and waits until it is connected.
    pub(crate) async fn browser_on(&self, screen: Screen) -> Browser {
        let browser = Browser::open(&self.url("/"), screen).await;
        browser.wait_text("#connection", "connected").await;
        browser
    }

    pub(crate) async fn send(&self, delivery: &Delivery) -> Response {
        let mut request = self
            .http
            .post(self.url("/webhook"))
            .body(delivery.body.clone());
        for (name, value) in &delivery.headers {
            request = request.header(*name, value);
        }
        request.send().await.unwrap()
    }

    /// Returns the JSON answer of `GET /_receiver/api/{path}`.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        let url = self.url(&format!("/_receiver/api/{path}"));
        let answer = self.http.get(url).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    pub(crate) async fn body_of(&self, number: u64) -> Vec<u8> {
        let url = self.url(&format!("/_receiver/api/deliveries/{number}/body"));
        let answer = self.http.get(url).send().await.unwrap();
        answer.bytes().await.unwrap().to_vec()
    }
}

/// Request in the form of the consumer. It is signed here, so that tests can change it afterwards.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Delivery {
    pub(crate) fn event(event: &str, id: &str, data: &Value) -> Self {
        let body = json!({ "event": event, "data": data, "timestamp": "2024-10-01T12:00:00.000Z" });
        let ordered = format!(
            r#"{{"event":{},"data":{},"timestamp":{}}}"#,
            body["event"], body["data"], body["timestamp"]
        );
        Self::signed(event, id, ordered.into_bytes(), SECRET, 0)
    }

    /// Builds a delivery signed with a timestamp `later_s` seconds from now.
    pub(crate) fn signed(event: &str, id: &str, body: Vec<u8>, secret: &str, later_s: i64) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the sender is not one of the programs"
        )]
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let timestamp = (now.cast_signed() + later_s).to_string();
        let head = format!("{id}.{timestamp}.");
        let hex = |bytes: [u8; 32]| bytes.map(|byte| format!("{byte:02x}")).concat();
        let standard = hmac(secret, &[head.as_bytes(), &body]);
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", "WhatsApp-Web-API/2.0".to_owned()),
            ("x-webhook-event", event.to_owned()),
            ("x-webhook-attempt", "1".to_owned()),
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", timestamp),
            ("x-webhook-signature", hex(hmac(secret, &[&body]))),
            (
                "webhook-signature",
                format!("v1,{}", BASE64_STANDARD.encode(standard)),
            ),
        ];
        Self { headers, body }
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(given, _)| *given != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &'static str) -> Self {
        self.headers.retain(|(given, _)| *given != name);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

fn hmac(secret: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
