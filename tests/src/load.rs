//! Steady stream of events, with the ids of accepted ones.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;

use crate::http_client::http_client;
use crate::or_fail;
use crate::program::Program;

/// Pause of a sender after a refused event.
const PAUSE: Duration = Duration::from_millis(50);

/// Running senders. Each posts one event after the other.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    senders: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    sent: AtomicU64,
    refused: AtomicU64,
    accepted: Mutex<BTreeSet<String>>,
}

impl Load {
    /// Starts `senders` that pause for `pause` after each event and post at most `most` events
    /// in total.
    pub fn start(producer: &Program, senders: usize, pause: Duration, most: u64) -> Self {
        Self::start_at(&producer.base_url(), senders, pause, most)
    }

    /// Starts senders to a URL, independent of the program that listens there.
    pub fn start_at(base_url: &str, senders: usize, pause: Duration, most: u64) -> Self {
        let shared = Arc::new(Shared::default());
        let mut tasks = JoinSet::new();
        let http = or_fail("an HTTP client", http_client());
        for _ in 0..senders {
            let url = format!("{base_url}/v1/events");
            tasks.spawn(send(Arc::clone(&shared), http.clone(), url, pause, most));
        }
        Self {
            shared,
            senders: tasks,
        }
    }

    /// Returns the number of events answered 202 so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted().len()
    }

    /// Returns the number of events answered otherwise, or not at all, so far.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Waits until all events are posted; returns the ids answered 202.
    pub async fn finish(mut self) -> BTreeSet<String> {
        while self.senders.join_next().await.is_some() {}
        self.shared.accepted().clone()
    }

    /// Stops the senders; returns the ids answered 202.
    pub async fn stop(self) -> BTreeSet<String> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.finish().await
    }
}

impl Shared {
    fn accepted(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn send(shared: Arc<Shared>, http: reqwest::Client, url: String, pause: Duration, most: u64) {
    while !shared.stop.load(Ordering::Relaxed) {
        let n = shared.sent.fetch_add(1, Ordering::Relaxed);
        if n >= most {
            return;
        }
        let event = json!({"event": "message_create", "data": {"n": n}});
        let request = http.post(&url).header("content-type", "application/json");
        let answer = request.body(event.to_string()).send().await;
        match answer {
            Ok(answer) if answer.status() == StatusCode::ACCEPTED => {
                let body: serde_json::Value =
                    serde_json::from_slice(&answer.bytes().await.unwrap_or_default())
                        .unwrap_or_default();
                let id = body
                    .get("id")
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or_default();
                shared.accepted().insert(id.to_owned());
                tokio::time::sleep(pause).await;
            }
            _ => {
                shared.refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
