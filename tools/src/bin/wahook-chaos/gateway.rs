//! Gateway that repeats an event with the same idempotency key until it is accepted, or one that
//! never repeats.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::StatusCode;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wahook_tests::http_client::http_client;

use crate::event;

/// Pause between a rejected event and the next try.
const PAUSE: Duration = Duration::from_millis(25);
/// Maximum time without an accepted event while events are pending.
const LAST_ACCEPTED_WITHIN: Duration = Duration::from_secs(180);

/// Load of a gateway.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    /// Number of concurrent senders.
    pub(crate) senders: usize,
    /// Pause of a sender after each event.
    pub(crate) pause: Duration,
    /// Maximum number of events of all senders.
    pub(crate) events: u64,
    /// Repeat an event until it is accepted.
    pub(crate) repeats: bool,
}

impl Rate {
    /// Steady load until the gateway is stopped.
    pub(crate) const STEADY: Self = Self {
        senders: 8,
        pause: Duration::from_millis(8),
        events: u64::MAX,
        repeats: true,
    };

    /// Steady load of 200 events a second, each sent once.
    pub(crate) const NEVER_REPEATED: Self = Self {
        senders: 4,
        pause: Duration::from_millis(20),
        events: u64::MAX,
        repeats: false,
    };

    /// As many events as fast as possible.
    pub(crate) const fn burst(events: u64) -> Self {
        Self {
            senders: 64,
            pause: Duration::ZERO,
            events,
            repeats: true,
        }
    }
}

/// Running senders.
#[derive(Debug)]
pub(crate) struct Gateway {
    shared: Arc<Shared>,
    senders: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    row: String,
    /// Each event is sent to all of them at the same time.
    producers: Vec<String>,
    http: reqwest::Client,
    next: AtomicU64,
    stop: AtomicBool,
    refused: AtomicU64,
    answers: Mutex<Answers>,
}

/// Numbers of events by their answers.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) accepted: BTreeSet<u64>,
    /// Events of a gateway that never repeats, without an answer: accepted or not.
    pub(crate) unknown: BTreeSet<u64>,
}

impl Gateway {
    /// Starts sending events of this row, beginning with number `first`.
    pub(crate) fn start(
        row: &str,
        producers: Vec<String>,
        first: u64,
        rate: Rate,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            row: row.to_owned(),
            producers,
            http: http_client()?,
            next: AtomicU64::new(first),
            stop: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            answers: Mutex::default(),
        });
        let end = first.saturating_add(rate.events);
        let mut senders = JoinSet::new();
        for _ in 0..rate.senders {
            senders.spawn(Arc::clone(&shared).send(end, rate));
        }
        Ok(Self { shared, senders })
    }

    /// Returns the number of events accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.answers().accepted.len()
    }

    /// Returns the number of answers other than 202 or 200, and of missing answers, so far.
    pub(crate) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Starts no new event; repeats pending events until they are accepted. Returns the numbers of
    /// all events.
    pub(crate) async fn stop(self) -> anyhow::Result<Answers> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.finish().await
    }

    /// Waits until all of [`Rate::events`] are accepted.
    pub(crate) async fn finish(mut self) -> anyhow::Result<Answers> {
        let mut seen = (self.accepted(), Instant::now());
        while !self.senders.is_empty() {
            let _ended = tokio::time::timeout(PAUSE, self.senders.join_next()).await;
            if self.accepted() > seen.0 {
                seen = (self.accepted(), Instant::now());
            } else if seen.1.elapsed() > LAST_ACCEPTED_WITHIN {
                return Err(anyhow::anyhow!(
                    "no event was accepted for {LAST_ACCEPTED_WITHIN:?}"
                ));
            }
        }
        Ok(std::mem::take(&mut *self.shared.answers()))
    }
}

impl Shared {
    async fn send(self: Arc<Self>, end: u64, rate: Rate) {
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                return;
            }
            if rate.repeats {
                let sent = self
                    .producers
                    .iter()
                    .map(|url| self.until_taken(url, number));
                futures_util::future::join_all(sent).await;
                self.answers().accepted.insert(number);
            } else {
                for url in &self.producers {
                    self.once(url, number).await;
                }
            }
            sleep(rate.pause).await;
        }
    }

    async fn once(&self, producer: &str, number: u64) {
        let answer = self.post(producer, number).await;
        let mut answers = self.answers();
        match answer {
            Ok(true) => {
                answers.accepted.insert(number);
            }
            Ok(false) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                answers.unknown.insert(number);
            }
        }
    }

    async fn until_taken(&self, producer: &str, number: u64) {
        while !self.post(producer, number).await.unwrap_or(false) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            sleep(PAUSE).await;
        }
    }

    async fn post(&self, producer: &str, number: u64) -> anyhow::Result<bool> {
        let request = self.http.post(format!("{producer}/v1/events"));
        let request = request
            .header("content-type", "application/json")
            .header("idempotency-key", event::id(&self.row, number))
            .body(event::body(&self.row, number));
        let answer = request.send().await.context("no answer")?;
        let status = answer.status();
        // Read to the end, so that the connection can be reused.
        answer.bytes().await?;
        // 200: an earlier request was accepted, but its answer was lost.
        Ok(status == StatusCode::ACCEPTED || status == StatusCode::OK)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
