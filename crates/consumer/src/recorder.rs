//! Recorder: writes results to the log in micro-batches and, while the log is
//! unavailable, to `wahook.results` at the broker, so that no delivery waits for
//! the log to recover.
//!
//! The next batch is gathered while others are written; [`crate::batching`] decides
//! when it is complete. Large events are written in small batches, and the largest one after
//! the other: the log copies them several times.

use backoff::{ExponentialBackoff, backoff::Backoff};
use futures_util::future::{join, join_all};
use std::time::Duration;
use tokio::{
    sync::{Mutex, MutexGuard, mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};
use wahook_delivery_log::{DeliveryLog, SharedLog};
use wahook_domain::{AttemptResult, Original, UnixMillis};
use wahook_failpoint::{self as failpoint, Failpoint};
use wahook_queue::{Outgoing, Publisher};
use wahook_runtime::clock;

use crate::{
    batching::{FullBatch, PendingResult, PendingResults, gather},
    log_health::LogHealth,
    metrics::ConsumerMetrics,
};

/// Maximum number of results in one batch.
pub(crate) const MAX_BATCH: u16 = 256;
/// Bytes of events at which a write is complete. Copies of this size stay in the processor's
/// caches, and in memory that the allocator keeps.
const WRITE_BYTES: usize = 2 << 20;
/// Bytes of events above which a write is made alone.
const LARGE_WRITE_BYTES: usize = 2 * WRITE_BYTES;
/// Time limit for a write to the log. After it the results go to the broker.
pub(crate) const LOG_LIMIT: Duration = Duration::from_secs(2);

/// Handle of the recorder; clones share one writer.
#[derive(Clone)]
pub(crate) struct Recorder {
    entries: mpsc::Sender<Entry>,
    pending: PendingResults,
}

struct Entry {
    result: AttemptResult,
    durable: oneshot::Sender<()>,
}

impl Recorder {
    /// Starts the writer, which ends when every handle is dropped.
    pub(crate) fn start(
        log: SharedLog,
        publisher: Publisher,
        health: LogHealth,
        metrics: ConsumerMetrics,
    ) -> (Self, JoinHandle<()>) {
        let (entries, receiver) = mpsc::channel(4 * usize::from(MAX_BATCH));
        let pending = PendingResults::default();
        let writer = Writer {
            large: Mutex::default(),
            pending: pending.clone(),
            log,
            publisher,
            health,
            metrics,
        };
        let recorder = Self { entries, pending };
        (recorder, tokio::spawn(writer.run(receiver)))
    }

    /// Announces a result, so that a batch waits for it.
    #[must_use]
    pub(crate) fn expect(&self) -> PendingResult {
        self.pending.expect()
    }

    /// Returns once the result is durable, in the log or at the broker.
    pub(crate) async fn record(&self, result: AttemptResult, expected: PendingResult) {
        let (durable, done) = oneshot::channel();
        let sent = self.entries.send(Entry { result, durable }).await.is_ok();
        drop(expected);
        if !sent || done.await.is_err() {
            // The writer has ended, so the program is stopping: the message stays
            // unacked and the broker redelivers it.
            std::future::pending::<()>().await;
        }
    }
}

struct Writer {
    /// Held during a large write.
    large: Mutex<()>,
    pending: PendingResults,
    log: SharedLog,
    publisher: Publisher,
    health: LogHealth,
    metrics: ConsumerMetrics,
}

impl Writer {
    /// Writes two batches at once, since most of the time of a write is the log's wait
    /// for its disk.
    async fn run(self, entries: mpsc::Receiver<Entry>) {
        let entries = Mutex::new(entries);
        join(self.write_batches(&entries), self.write_batches(&entries)).await;
    }

    async fn write_batches(&self, entries: &Mutex<mpsc::Receiver<Entry>>) {
        let mut batch = Vec::with_capacity(MAX_BATCH.into());
        while self.next_batch(entries, &mut batch).await {
            let (results, durable): (Vec<_>, Vec<_>) = batch
                .drain(..)
                .map(|entry| (entry.result, entry.durable))
                .unzip();
            self.make_durable(&results).await;
            for done in durable {
                // Fails if the delivery was cancelled.
                let _ = done.send(());
            }
        }
    }

    async fn next_batch(
        &self,
        entries: &Mutex<mpsc::Receiver<Entry>>,
        batch: &mut Vec<Entry>,
    ) -> bool {
        let mut entries = entries.lock().await;
        let full = FullBatch {
            entries: MAX_BATCH.into(),
            bytes: WRITE_BYTES,
        };
        let bytes = |entry: &Entry| bytes(&entry.result);
        let is_any = gather(&mut entries, batch, full, bytes, &self.pending).await;
        let pending = entries.len().try_into().unwrap_or(i64::MAX);
        self.metrics.log_results_pending.set(pending);
        is_any
    }

    async fn make_durable(&self, results: &[AttemptResult]) {
        if self.write_to_log(results).await {
            self.metrics.log_results.direct.inc_by(results.len() as u64);
            self.observe_lag(results);
            return;
        }
        self.spill(results).await;
    }

    /// Writes a batch while the log is up. Returns true if it is durable.
    async fn write_to_log(&self, results: &[AttemptResult]) -> bool {
        let _turn = self.large_turn(results).await;
        if !self.health.is_up() {
            return false;
        }
        let is_written = write(&*self.log, results, &self.metrics).await;
        if !is_written {
            self.health.set(false);
        }
        is_written
    }

    /// Waits until no other large write is made, before a large one.
    async fn large_turn(&self, results: &[AttemptResult]) -> Option<MutexGuard<'_, ()>> {
        if results.iter().map(bytes).sum::<usize>() <= LARGE_WRITE_BYTES {
            return None;
        }
        Some(self.large.lock().await)
    }

    /// Publishes results to the broker, retrying until the broker or the log accepts
    /// them. Their messages stay unacked meanwhile.
    async fn spill(&self, results: &[AttemptResult]) {
        let mut left: Vec<_> = results.iter().map(Outgoing::result).collect();
        let mut backoff = log_backoff();
        loop {
            let published = join_all(left.iter().map(|m| self.publisher.publish(m.clone()))).await;
            let before = left.len();
            let mut outcomes = published.iter();
            left.retain(|_| outcomes.next().is_some_and(Result::is_err));
            self.metrics
                .log_results
                .spilled
                .inc_by((before - left.len()) as u64);
            if left.is_empty() {
                return;
            }
            if self.health.is_up() && write(&*self.log, results, &self.metrics).await {
                self.metrics.log_results.direct.inc_by(left.len() as u64);
                return;
            }
            let error = published.into_iter().find_map(Result::err);
            tracing::warn!(
                ?error,
                results = left.len(),
                "neither log nor broker accepts results, retrying"
            );
            sleep(backoff.next_backoff().unwrap_or(backoff.max_interval)).await;
        }
    }

    fn observe_lag(&self, results: &[AttemptResult]) {
        let now = clock::now();
        for result in results {
            let ended = ended_at(result);
            self.metrics
                .log_lag_seconds
                .observe(now.since(ended).as_secs_f64());
        }
    }
}

fn ended_at(result: &AttemptResult) -> UnixMillis {
    let attempt = &result.attempt;
    let took = Duration::from_millis(attempt.duration_ms.try_into().unwrap_or_default());
    attempt.started_at.plus(took)
}

/// Writes a batch, in parts that end at [`WRITE_BYTES`]. Returns true if the batch is
/// durable.
pub(crate) async fn write(
    log: &dyn DeliveryLog,
    mut results: &[AttemptResult],
    metrics: &ConsumerMetrics,
) -> bool {
    while !results.is_empty() {
        let (part, rest) = results.split_at(first_part(results));
        if !write_part(log, part, metrics).await {
            return false;
        }
        results = rest;
    }
    true
}

/// Returns the number of results of the first write, at least 1.
fn first_part(results: &[AttemptResult]) -> usize {
    let mut left = WRITE_BYTES;
    let part = results.iter().take_while(|result| {
        let is_open = left > 0;
        left = left.saturating_sub(bytes(result));
        is_open
    });
    part.count()
}

/// Returns the bytes of a result's bodies.
fn bytes(result: &AttemptResult) -> usize {
    let exact = match &result.original {
        Original::Exact(body) => body.len(),
        Original::Same | Original::Lost(_) => 0,
    };
    result.body.len() + exact
}

/// Writes a part of a batch, with retries until [`LOG_LIMIT`].
async fn write_part(
    log: &dyn DeliveryLog,
    results: &[AttemptResult],
    metrics: &ConsumerMetrics,
) -> bool {
    let deadline = Instant::now() + LOG_LIMIT;
    let timer = metrics.log_write_seconds.start_timer();
    let mut backoff = log_backoff();
    loop {
        failpoint::pass_into(Failpoint::Writing);
        match timeout_at(deadline, log.write(results)).await {
            Ok(Ok(_)) => {
                timer.observe_duration();
                return true;
            }
            Ok(Err(error)) => {
                metrics.log_write_errors.inc();
                let pause = backoff.next_backoff().unwrap_or(backoff.max_interval);
                if Instant::now() + pause >= deadline {
                    tracing::warn!(%error, results = results.len(), "log write failed");
                    return false;
                }
                sleep(pause).await;
            }
            Err(_) => {
                metrics.log_write_errors.inc();
                tracing::warn!(
                    results = results.len(),
                    "log write timed out after {LOG_LIMIT:?}"
                );
                return false;
            }
        }
    }
}

/// Backoff between attempts to reach the log: 50 ms to 2 s.
pub(crate) fn log_backoff() -> ExponentialBackoff {
    ExponentialBackoff {
        current_interval: Duration::from_millis(50),
        initial_interval: Duration::from_millis(50),
        multiplier: 2.0,
        randomization_factor: 0.2,
        max_interval: Duration::from_secs(2),
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
}

#[cfg(test)]
mod tests;
