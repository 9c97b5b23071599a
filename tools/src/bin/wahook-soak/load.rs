//! Senders of events. Each chat belongs to one sender, which sends its events one after another,
//! so that the order of acceptance is the order of sending.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use reqwest::StatusCode;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};
use wahook_tests::http_client::http_client;
use wahook_tests::timed_event::{self, CHATS, Sent};

use crate::arrivals::Arrivals;

/// Requests in flight at most. Divides the number of chats.
const SENDERS: usize = 50;
const _: () = assert!(CHATS.is_multiple_of(SENDERS as u64));
/// Size of an event's body.
const BYTES: usize = 400;
/// Delay of a sender after which it skips events of the schedule.
const LATE: Duration = Duration::from_secs(1);
/// Pause between a refused event and the next try.
const PAUSE: Duration = Duration::from_millis(25);
const ACCEPTED_WITHIN: Duration = Duration::from_secs(180);

/// Time of each event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// Events a second, independent of the answers.
    Rate(f64),
    /// As fast as events are accepted, with this many undelivered ones at most.
    FlatOut { undelivered: u64 },
}

/// Running senders.
pub(crate) struct Load {
    shared: Arc<Shared>,
    /// Each ends with its index and the number of its accepted events.
    senders: JoinSet<anyhow::Result<(usize, u64)>>,
}

struct Shared {
    url: String,
    http: reqwest::Client,
    pace: Pace,
    start: Instant,
    arrivals: Arc<Arrivals>,
    stop: AtomicBool,
    accepted: AtomicU64,
    skipped: AtomicU64,
    refused: AtomicU64,
}

/// Numbers of the accepted events: those of a sender without a gap from its first one on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Accepted([u64; SENDERS]);

impl Accepted {
    pub(crate) const NONE: Self = Self([0; SENDERS]);

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        let senders = (0..SENDERS).zip(self.0);
        senders.flat_map(|(sender, count)| (0..count).map(move |index| number(sender, index)))
    }
}

/// Returns the number of a sender's event. Its chat is always one of the sender.
fn number(sender: usize, index: u64) -> u64 {
    index * SENDERS as u64 + sender as u64
}

impl Load {
    /// Starts senders that continue after the events accepted so far.
    pub(crate) fn start(
        producer: &str,
        pace: Pace,
        accepted: &Accepted,
        arrivals: &Arc<Arrivals>,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            url: format!("{producer}/v1/events"),
            http: http_client()?,
            pace,
            start: Instant::now(),
            arrivals: Arc::clone(arrivals),
            stop: AtomicBool::new(false),
            accepted: AtomicU64::new(accepted.count()),
            skipped: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let mut senders = JoinSet::new();
        for (index, first) in accepted.0.into_iter().enumerate() {
            senders.spawn(Arc::clone(&shared).send(index, first));
        }
        Ok(Self { shared, senders })
    }

    /// Number of all accepted events, those before the start included.
    pub(crate) fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Number of events of the schedule that were not sent, because earlier ones took too long.
    pub(crate) fn skipped(&self) -> u64 {
        self.shared.skipped.load(Ordering::Relaxed)
    }

    /// Number of requests that were not answered 202 or 200, and repeated.
    pub(crate) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Returns an error if a sender has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.senders.try_join_next() {
            None => Ok(()),
            Some(ended) => ended
                .context("a sender")?
                .and_then(|(index, _)| anyhow::bail!("sender {index} ended too early")),
        }
    }

    /// Starts no new event, waits until those in flight are accepted, and returns all of them.
    pub(crate) async fn stop(mut self) -> anyhow::Result<Accepted> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut accepted = Accepted::NONE;
        while let Some(ended) = self.senders.join_next().await {
            let (index, count) = ended.context("a sender")??;
            *accepted.0.get_mut(index).context("no such sender")? = count;
        }
        Ok(accepted)
    }
}

impl Shared {
    async fn send(self: Arc<Self>, sender: usize, mut count: u64) -> anyhow::Result<(usize, u64)> {
        let mut slot = 0;
        loop {
            self.wait_for(sender, &mut slot).await;
            if self.stop.load(Ordering::Relaxed) {
                return Ok((sender, count));
            }
            self.until_accepted(number(sender, count)).await?;
            count += 1;
            self.accepted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits for the time of a sender's next event. `slot` is its place in the schedule.
    async fn wait_for(&self, sender: usize, slot: &mut u32) {
        match self.pace {
            Pace::Rate(rate) => {
                let period = Duration::from_secs_f64(SENDERS as f64 / rate);
                let offset = period.mul_f64(sender as f64 / SENDERS as f64);
                let mut due = self.start + offset + period * *slot;
                while due.elapsed() > LATE {
                    self.skipped.fetch_add(1, Ordering::Relaxed);
                    *slot += 1;
                    due += period;
                }
                *slot += 1;
                sleep_until(due.into()).await;
            }
            Pace::FlatOut { undelivered } => {
                let is_full = || {
                    let accepted = self.accepted.load(Ordering::Relaxed);
                    accepted.saturating_sub(self.arrivals.delivered_to_both()) >= undelivered
                };
                while is_full() && !self.stop.load(Ordering::Relaxed) {
                    sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }

    async fn until_accepted(&self, number: u64) -> anyhow::Result<()> {
        let begin = Instant::now();
        let at = begin.saturating_duration_since(self.arrivals.epoch());
        let body = timed_event::body(Sent { number, at }, BYTES);
        while !self.post(number, body.clone()).await {
            self.refused.fetch_add(1, Ordering::Relaxed);
            ensure!(
                begin.elapsed() < ACCEPTED_WITHIN,
                "event {number} was not accepted within {ACCEPTED_WITHIN:?}"
            );
            sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn post(&self, number: u64, body: String) -> bool {
        let request = self.http.post(&self.url);
        let request = request
            .header("content-type", "application/json")
            .header("idempotency-key", format!("soak-{number}"));
        let Ok(answer) = request.body(body).send().await else {
            return false;
        };
        let status = answer.status();
        // Read to the end, so that the connection can be reused. 200: an earlier request was
        // accepted, but its answer was lost.
        answer.bytes().await.is_ok() && (status == StatusCode::ACCEPTED || status == StatusCode::OK)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn chat_belongs_to_one_sender() {
        for sender in 0..SENDERS {
            for index in 0..100 {
                let chat = number(sender, index) % CHATS;
                assert_eq!(chat % SENDERS as u64, sender as u64);
            }
        }
    }

    #[test]
    fn accepted_numbers_are_those_of_each_sender() {
        let mut accepted = Accepted::NONE;
        accepted.0[0] = 2;
        accepted.0[49] = 1;
        let numbers: BTreeSet<_> = accepted.numbers().collect();
        assert_eq!(numbers, [0, 49, 50].into());
        assert_eq!(accepted.count(), 3);
    }
}
