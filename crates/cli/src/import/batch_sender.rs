//! Sending of one batch, until each line is accepted or rejected.

use anyhow::bail;
use bytes::Bytes;
use std::{mem, time::Duration};
use tokio::time::{Instant, sleep};
use wahook_domain::UnixMillis;
use wahook_runtime::Shutdown;

use super::{
    batches::{Batch, Event},
    patience::Patience,
    position::Tally,
    stamp::append_stamped,
};
use crate::{
    answer::{Refusal, Verdict},
    producer::{BatchAnswer, Producer},
};

/// Sends batches to the producer, with retries.
pub(super) struct BatchSender<'a> {
    producer: &'a Producer,
    /// Start of the import.
    begun_at: UnixMillis,
    patience: Patience,
    /// Smallest size that the producer rejected as too large.
    too_many_bytes: usize,
    stop: &'a Shutdown,
}

#[derive(Debug, Default)]
pub(super) struct BatchResult {
    pub(super) tally: Tally,
    /// Rejected lines, by their index in the batch.
    pub(super) refused: Vec<(usize, Refusal)>,
}

/// Lines to send again, by their index in the batch, and the latest reason.
#[derive(Default)]
struct Pending {
    lines: Vec<usize>,
    reason: String,
    retry_after: Option<Duration>,
}

impl<'a> BatchSender<'a> {
    pub(super) fn new(
        producer: &'a Producer,
        begun_at: UnixMillis,
        patience: Duration,
        stop: &'a Shutdown,
    ) -> Self {
        Self {
            producer,
            begun_at,
            patience: Patience::new(patience),
            too_many_bytes: usize::MAX,
            stop,
        }
    }

    /// Sends the batch, and retries the lines that were not accepted. A line whose answer
    /// was lost is sent again with the same id.
    ///
    /// # Errors
    /// If the producer rejects the whole batch, or accepts and rejects no line for too long.
    pub(super) async fn send(&mut self, batch: &Batch) -> anyhow::Result<BatchResult> {
        let mut result = BatchResult::default();
        let mut lines = Vec::new();
        for (index, event) in batch.events.iter().enumerate() {
            if event.line.is_too_long() {
                let refusal = Refusal::local("The line is too long", "it has more than 16 MiB");
                result.reject(index, refusal);
            } else {
                lines.push(index);
            }
        }
        let mut last_progress = Instant::now();
        loop {
            let before = result.tally.lines();
            let pending = self.send_once(batch, lines, &mut result).await?;
            if pending.lines.is_empty() {
                self.patience.reset();
                return Ok(result);
            }
            if result.tally.lines() > before {
                self.patience.reset();
                last_progress = Instant::now();
            }
            let idle = last_progress.elapsed();
            let Some(wait) = self.patience.next(idle, pending.retry_after) else {
                bail!("gave up after a long wait (--patience): {}", pending.reason);
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.stop.soft() => bail!("stopped before a retry: {}", pending.reason),
            }
            lines = pending.lines;
        }
    }

    /// Sends each of these lines once. Returns those to send again.
    async fn send_once(
        &mut self,
        batch: &Batch,
        lines: Vec<usize>,
        result: &mut BatchResult,
    ) -> anyhow::Result<Pending> {
        let mut pending = Pending::default();
        let mut parts = vec![lines];
        while let Some(part) = parts.pop() {
            let events: Vec<&Event> = events_at(batch, &part).collect();
            let bytes: usize = events.iter().map(|event| event.bytes()).sum();
            if part.len() > 1 && bytes >= self.too_many_bytes {
                parts.extend(halves(part));
                continue;
            }
            let ndjson = self.ndjson(&events);
            match self.producer.send_batch(ndjson, part.len()).await {
                Ok(BatchAnswer::Lines(verdicts)) => {
                    for (index, verdict) in part.into_iter().zip(verdicts) {
                        result.record(index, verdict, &mut pending);
                    }
                }
                Ok(BatchAnswer::TooLarge(_)) if part.len() > 1 => {
                    self.too_many_bytes = self.too_many_bytes.min(bytes);
                    parts.extend(halves(part));
                }
                Ok(BatchAnswer::TooLarge(refusal)) => {
                    for index in part {
                        result.reject(index, refusal.clone());
                    }
                }
                Ok(BatchAnswer::Refused(refusal)) => {
                    bail!("{} rejects the import: {refusal}", self.producer.address())
                }
                Ok(BatchAnswer::NotNow(refusal)) => pending.add(part, &refusal),
                Err(error) => {
                    pending.lines.extend(part);
                    pending.reason = error.to_string();
                }
            }
        }
        Ok(pending)
    }

    fn ndjson(&self, events: &[&Event]) -> Bytes {
        let mut sent = Vec::new();
        for event in events {
            let line = &event.line;
            if event.is_stamped {
                append_stamped(&mut sent, &line.text, self.begun_at, line.number);
            } else {
                sent.extend_from_slice(&line.text);
            }
            sent.push(b'\n');
        }
        sent.into()
    }
}

fn events_at<'a>(batch: &'a Batch, lines: &'a [usize]) -> impl Iterator<Item = &'a Event> {
    lines.iter().filter_map(|index| batch.events.get(*index))
}

/// Splits a part. The first half comes last, because parts are taken from the end.
fn halves(mut part: Vec<usize>) -> [Vec<usize>; 2] {
    let second = part.split_off(part.len() / 2);
    [second, mem::take(&mut part)]
}

impl BatchResult {
    fn record(&mut self, index: usize, verdict: Verdict, pending: &mut Pending) {
        match verdict {
            Verdict::Accepted(accepted) => {
                self.tally.accepted += 1;
                self.tally.repeated += u64::from(accepted.duplicate);
                self.tally.unwanted += u64::from(accepted.endpoints == Some(0));
                self.tally.warned += u64::from(!accepted.warnings.is_empty());
            }
            Verdict::Refused(refusal) => self.reject(index, refusal),
            Verdict::NotNow(refusal) => pending.add(vec![index], &refusal),
        }
    }

    fn reject(&mut self, index: usize, refusal: Refusal) {
        self.tally.refused += 1;
        self.refused.push((index, refusal));
    }
}

impl Pending {
    fn add(&mut self, lines: Vec<usize>, refusal: &Refusal) {
        self.lines.extend(lines);
        self.retry_after = self.retry_after.max(refusal.retry_after);
        self.reason = refusal.to_string();
    }
}
