//! Console within `wahook`: deliveries, live stream, dead letters, and its address.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::ports::free_port;
use wahook_tests::program::{Program, ProgramName};
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const JOB_WITHIN: Duration = Duration::from_secs(120);

pub(crate) struct Console {
    api: String,
    http: reqwest::Client,
}

impl Console {
    /// Returns the console, and the settings of a system with it.
    pub(crate) fn new() -> (Self, [(&'static str, String); 3]) {
        let listen = format!("127.0.0.1:{}", free_port().unwrap());
        let console = Self {
            api: format!("http://{listen}/api/v1"),
            http: http_client().unwrap(),
        };
        let settings = [
            ("CONSOLE_LISTEN", listen),
            ("WEBHOOK_RETRY_ATTEMPTS", "0".to_owned()),
            ("WEBHOOK_CIRCUIT", "off".to_owned()),
        ];
        (console, settings)
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}/{path}", self.api)).send().await;
        let body = answer.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&body).unwrap_or_default()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}/{path}", self.api));
        let request = request.header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default()
    }

    /// Waits for the end of a job, and returns it.
    pub(crate) async fn end_of(&self, started: &Value) -> Value {
        let path = format!("jobs/{}", started["job"].as_str().unwrap());
        eventually(JOB_WITHIN, "the end of the job", || async {
            Some(self.get(&path).await).filter(|job| job["state"] != "running")
        })
        .await
    }
}

pub(crate) fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    let settings = settings.iter();
    settings
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn console_shows_deliveries_with_the_request_that_was_sent() {
    let receiver = Receiver::answering(|post| match post.event() {
        Some("call") => Answer::status(500),
        _ => Answer::status(200),
    })
    .await;
    let (console, settings) = Console::new();
    let system = System::new(&receiver, &borrowed(&settings));
    let _program = system.start().await;
    let failed = system.ended("call", "failed").await;
    let delivered = system.ended("ready", "success").await;

    let all = console.get("deliveries").await;
    let ids: Vec<_> = [0, 1]
        .map(|n| all["deliveries"][n]["eventId"].clone())
        .into();
    assert_eq!(ids, [delivered.as_str(), failed.as_str()], "{all}");
    let by_id = format!("eventId={failed}");
    for (filter, expected) in [
        ("status=failed", &failed),
        ("event=ready", &delivered),
        (by_id.as_str(), &failed),
        ("statusCode=200", &delivered),
        ("error=answered%20500&since=1h", &failed),
    ] {
        let found = console.get(&format!("deliveries?{filter}")).await;
        let found = found["deliveries"].as_array().unwrap();
        assert_eq!(found.len(), 1, "{filter}");
        assert_eq!(found[0]["eventId"], expected.as_str(), "{filter}");
    }
    let detail = console.get(&format!("deliveries/{failed}/default")).await;
    assert_eq!(detail["attempts"][0]["error"], "answered 500", "{detail}");
    let posts = receiver.posts_of(&failed);
    let sent = detail["headers"].as_object().unwrap();
    for (name, value) in sent {
        // The time of a signature is read shortly after the start of its attempt.
        if name != "webhook-timestamp" {
            assert_eq!(posts[0].header(name), value.as_str(), "{name}");
        }
    }
    let curl = detail["curl"].as_str().unwrap();
    let body = String::from_utf8(posts[0].body.to_vec()).unwrap();
    assert!(curl.contains(&format!("'{body}'")), "{curl}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_are_streamed_as_they_end() {
    let receiver = Receiver::start().await;
    let (console, settings) = Console::new();
    let system = System::new(&receiver, &borrowed(&settings));
    let _program = system.start().await;
    let url = format!("{}/events/live?event=ready", console.api);
    let mut stream = console.http.get(url).send().await.unwrap();
    stream.chunk().await.unwrap();
    // The stream begins soon after its first line: events are sent until one is seen.
    let seen = async {
        let mut text = String::new();
        while !text.contains("\"event\":\"ready\"") {
            system.send("call").await;
            system.send("ready").await;
            if let Ok(chunk) = timeout(Duration::from_secs(1), stream.chunk()).await {
                text += str::from_utf8(&chunk.unwrap().unwrap()).unwrap();
            }
        }
        text
    };
    let text = timeout(AT_LAST, seen).await.unwrap();
    assert!(!text.contains("\"event\":\"call\""), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_redriven_by_the_console() {
    let (receiver, works) = Receiver::switched().await;
    let (console, settings) = Console::new();
    let system = System::new(&receiver, &borrowed(&settings));
    let _program = system.start().await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(system.ended("call", "failed").await);
    }
    let total = async || console.get("dead-letters").await["total"].as_u64();
    eventually(AT_LAST, "5 dead letters", || async {
        (total().await == Some(5)).then_some(())
    })
    .await;
    works.store(true, Ordering::Relaxed);
    receiver.forget();
    let selected = json!({ "filter": { "reason": "answered 500" } });
    let job = console.post("dead-letters/redrive", &selected).await;
    assert_eq!(job["count"], 5, "{job}");
    receiver.wait_for(5, AT_LAST).await;
    for id in &ids {
        assert_eq!(receiver.posts_of(id).len(), 1, "{id}");
    }
    assert_eq!(console.end_of(&job).await["state"], "done");
    // The store writes acks in batches.
    eventually(AT_LAST, "no dead letters", || async {
        (total().await == Some(0)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_port_of_the_console_is_an_error_at_start() {
    let busy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = busy.local_addr().unwrap().to_string();
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[("CONSOLE_LISTEN", &listen)]);
    let program = Program::launch(ProgramName::Standalone, &system.borrowed()).await;
    let status = program.wait_exit(AT_LAST).await;
    assert_eq!(status.code(), Some(1));
    let stderr = program.stderr_so_far();
    assert!(
        stderr.contains("CONSOLE_LISTEN") && stderr.contains(&listen),
        "{stderr}"
    );
}
