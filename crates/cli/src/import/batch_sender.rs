//! One batch, until each of its lines is settled: taken, or refused for good.

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
    stamp::add_with_time,
};
use crate::{
    answer::{Refusal, Verdict},
    producer::{BatchAnswer, Producer},
};

/// Brings batches to the producer.
pub(super) struct BatchSender<'a> {
    producer: &'a Producer,
    /// When the import began.
    begun_at: UnixMillis,
    patience: Patience,
    /// What the producer has shown to be too much at once.
    too_many_bytes: usize,
    stop: &'a Shutdown,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) tally: Tally,
    /// By their place in the batch.
    pub(super) refused: Vec<(usize, Refusal)>,
}

/// Lines that must be sent again, and why.
#[derive(Default)]
struct Again {
    places: Vec<usize>,
    reason: String,
    asked: Option<Duration>,
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

    /// Sends the batch, and what of it was not taken again and again. A line
    /// that was taken unnoticed is sent twice, with the same id.
    ///
    /// # Errors
    /// When the producer refuses the whole, or nothing is settled for too long.
    pub(super) async fn settle(&mut self, batch: &Batch) -> anyhow::Result<Settled> {
        let mut settled = Settled::default();
        let mut open = Vec::new();
        for (place, event) in batch.events.iter().enumerate() {
            if event.line.is_too_long() {
                let refusal = Refusal::own("The line is too long", "it has more than 16 MiB");
                settled.refuse(place, refusal);
            } else {
                open.push(place);
            }
        }
        let mut rewarded = Instant::now();
        loop {
            let before = settled.tally.lines();
            let again = self.round(batch, open, &mut settled).await?;
            if again.places.is_empty() {
                self.patience.is_rewarded();
                return Ok(settled);
            }
            if settled.tally.lines() > before {
                self.patience.is_rewarded();
                rewarded = Instant::now();
            }
            let Some(wait) = self.patience.next(rewarded.elapsed(), again.asked) else {
                bail!("gave up after a long wait (--patience): {}", again.reason);
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.stop.soft() => bail!("stopped while it waited: {}", again.reason),
            }
            open = again.places;
        }
    }

    /// Sends each of these lines once.
    async fn round(
        &mut self,
        batch: &Batch,
        open: Vec<usize>,
        settled: &mut Settled,
    ) -> anyhow::Result<Again> {
        let mut again = Again::default();
        let mut parts = vec![open];
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
                    for (place, verdict) in part.into_iter().zip(verdicts) {
                        settled.note(place, verdict, &mut again);
                    }
                }
                Ok(BatchAnswer::TooLarge(_)) if part.len() > 1 => {
                    self.too_many_bytes = self.too_many_bytes.min(bytes);
                    parts.extend(halves(part));
                }
                Ok(BatchAnswer::TooLarge(refusal)) => {
                    for place in part {
                        settled.refuse(place, refusal.clone());
                    }
                }
                Ok(BatchAnswer::Refused(refusal)) => {
                    bail!("{} refuses: {refusal}", self.producer.address())
                }
                Ok(BatchAnswer::NotNow(refusal)) => again.all_of(part, &refusal),
                Err(error) => {
                    again.places.extend(part);
                    again.reason = error.to_string();
                }
            }
        }
        Ok(again)
    }

    fn ndjson(&self, events: &[&Event]) -> Bytes {
        let mut sent = Vec::new();
        for event in events {
            let line = &event.line;
            if event.is_stamped {
                add_with_time(&mut sent, &line.text, self.begun_at, line.number);
            } else {
                sent.extend_from_slice(&line.text);
            }
            sent.push(b'\n');
        }
        sent.into()
    }
}

fn events_at<'a>(batch: &'a Batch, places: &'a [usize]) -> impl Iterator<Item = &'a Event> {
    places.iter().filter_map(|place| batch.events.get(*place))
}

/// The first half last: it is taken from the end.
fn halves(mut part: Vec<usize>) -> [Vec<usize>; 2] {
    let second = part.split_off(part.len() / 2);
    [second, mem::take(&mut part)]
}

impl Settled {
    fn note(&mut self, place: usize, verdict: Verdict, again: &mut Again) {
        match verdict {
            Verdict::Taken(taken) => {
                self.tally.taken += 1;
                self.tally.repeated += u64::from(taken.duplicate);
                self.tally.unwanted += u64::from(taken.endpoints == Some(0));
                self.tally.warned += u64::from(!taken.warnings.is_empty());
            }
            Verdict::Refused(refusal) => self.refuse(place, refusal),
            Verdict::NotNow(refusal) => again.all_of(vec![place], &refusal),
        }
    }

    fn refuse(&mut self, place: usize, refusal: Refusal) {
        self.tally.refused += 1;
        self.refused.push((place, refusal));
    }
}

impl Again {
    fn all_of(&mut self, places: Vec<usize>, refusal: &Refusal) {
        self.places.extend(places);
        self.asked = self.asked.max(refusal.retry_after);
        self.reason = refusal.to_string();
    }
}
