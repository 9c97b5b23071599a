//! The gateway of the story: it posts events at a pace, a part of them with a bad fate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use wahook_tests::http_client::http_client;

use crate::webhook::Fate;

/// Of a hundred events, how many have which fate; the rest is fine.
pub(crate) type Mix = &'static [(Fate, u64)];

pub(crate) const CALM: Mix = &[(Fate::Flaky, 3), (Fate::Limited, 1)];
pub(crate) const FAILING: Mix = &[
    (Fate::Flaky, 12),
    (Fate::Limited, 5),
    (Fate::Down, 12),
    (Fate::Refused, 4),
    (Fate::Cut, 4),
];

#[derive(Debug)]
pub(crate) struct Gateway {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// Milliseconds between two events; 0 for none.
    pause: AtomicU64,
    mix: Mutex<Mix>,
    accepted: AtomicU64,
}

impl Gateway {
    pub(crate) fn start(url: String) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            pause: AtomicU64::new(0),
            mix: Mutex::new(CALM),
            accepted: AtomicU64::new(0),
        });
        let task = tokio::spawn(send(Arc::clone(&shared), http_client()?, url));
        Ok(Self { shared, task })
    }

    pub(crate) fn pace(&self, pause_ms: u64, mix: Mix) {
        self.shared.pause.store(pause_ms, Ordering::Relaxed);
        *self
            .shared
            .mix
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = mix;
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn send(shared: Arc<Shared>, http: reqwest::Client, url: String) {
    let mut under_way = JoinSet::new();
    let mut tick = interval(Duration::from_millis(10));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut n = 0_u64;
    loop {
        let pause = shared.pause.load(Ordering::Relaxed);
        if pause == 0 {
            tick.tick().await;
            continue;
        }
        let fate = fate(
            n,
            *shared.mix.lock().unwrap_or_else(PoisonError::into_inner),
        );
        let event = json!({"event": "message_create", "data": {"n": n, "fate": fate.name()}});
        let (http, url, shared) = (http.clone(), url.clone(), Arc::clone(&shared));
        under_way.spawn(async move {
            let answer = http.post(&url).body(event.to_string()).send().await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::ACCEPTED) {
                shared.accepted.fetch_add(1, Ordering::Relaxed);
            }
        });
        while under_way.try_join_next().is_some() {}
        n += 1;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

/// The fates of a hundred events in a row are spread over them.
fn fate(n: u64, mix: Mix) -> Fate {
    let mut place = n * 37 % 100;
    for (fate, share) in mix {
        if place < *share {
            return *fate;
        }
        place -= share;
    }
    Fate::Fine
}
