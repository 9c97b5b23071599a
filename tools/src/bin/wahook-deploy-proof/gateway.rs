//! Test gateway: posts events at a given pace, some of which the webhook does not accept at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use wahook_tests::http_client::http_client;

use crate::webhook::Fate;

/// Number of events per fate in every hundred; the rest are [`Fate::Fine`].
pub(crate) type Mix = &'static [(Fate, u64)];

pub(crate) const CALM: Mix = &[(Fate::Flaky, 3), (Fate::Conflicted, 1)];
pub(crate) const FAILING: Mix = &[
    (Fate::Flaky, 12),
    (Fate::Conflicted, 5),
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
    /// Milliseconds between two events; 0 sends none.
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
    let mut in_flight = JoinSet::new();
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
        in_flight.spawn(async move {
            let request = http.post(&url).header("content-type", "application/json");
            let answer = request.body(event.to_string()).send().await;
            if answer.is_ok_and(|answer| answer.status() == StatusCode::ACCEPTED) {
                shared.accepted.fetch_add(1, Ordering::Relaxed);
            }
        });
        while in_flight.try_join_next().is_some() {}
        n += 1;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

/// Returns the fate of event `n`. The fates are spread evenly over every hundred events.
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
