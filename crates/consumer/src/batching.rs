//! When is a batch of results written?
//!
//! A batch costs the log and its driver the same for one result as for many, so
//! it waits for the deliveries that are under way. Where there are none, as with
//! a lone event, it waits for nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

/// How long the first result of a batch waits for others.
const LIMIT: Duration = Duration::from_millis(15);
/// How often it is looked whether there is still something to wait for. Waking
/// for each result would cost what the batch spares.
const LOOK_EVERY: Duration = Duration::from_millis(3);

/// Deliveries whose results are still to come.
#[derive(Debug, Clone, Default)]
pub(crate) struct PendingResults(Arc<AtomicUsize>);

/// A result is still to come while this is kept.
#[derive(Debug)]
pub(crate) struct PendingResult(Arc<AtomicUsize>);

impl PendingResults {
    /// One more.
    #[must_use]
    pub(crate) fn expect(&self) -> PendingResult {
        self.0.fetch_add(1, Ordering::Relaxed);
        PendingResult(Arc::clone(&self.0))
    }

    fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for PendingResult {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Fills `batch` with what is to be written together, at most `most`. Returns
/// false, and nothing, once every sender is gone.
pub(crate) async fn gather<T>(
    entries: &mut mpsc::Receiver<T>,
    batch: &mut Vec<T>,
    most: usize,
    pending: &PendingResults,
) -> bool {
    if entries.recv_many(batch, most).await == 0 {
        return false;
    }
    let end = Instant::now() + LIMIT;
    while batch.len() < most && pending.any() && Instant::now() < end {
        sleep(LOOK_EVERY).await;
        while batch.len() < most {
            let Ok(entry) = entries.try_recv() else { break };
            batch.push(entry);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 4;

    async fn gathered(entries: &mut mpsc::Receiver<u32>, pending: &PendingResults) -> Vec<u32> {
        let mut batch = Vec::new();
        gather(entries, &mut batch, MOST, pending).await;
        batch
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_result_waits_for_nothing() {
        let (sender, mut entries) = mpsc::channel(8);
        sender.send(1).await.unwrap();
        let start = Instant::now();
        assert_eq!(
            gathered(&mut entries, &PendingResults::default()).await,
            [1]
        );
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_waits_for_what_is_under_way_and_no_longer() {
        let (sender, mut entries) = mpsc::channel(8);
        let pending = PendingResults::default();
        let expected = pending.expect();
        sender.send(1).await.unwrap();
        tokio::spawn(async move {
            sleep(Duration::from_millis(4)).await;
            sender.send(2).await.unwrap();
            drop(expected);
        });
        let start = Instant::now();
        assert_eq!(gathered(&mut entries, &pending).await, [1, 2]);
        assert_eq!(start.elapsed(), 2 * LOOK_EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delivery_that_takes_long_does_not_hold_up_the_others() {
        let (sender, mut entries) = mpsc::channel(8);
        let pending = PendingResults::default();
        let _long = pending.expect();
        sender.send(1).await.unwrap();
        let start = Instant::now();
        assert_eq!(gathered(&mut entries, &pending).await, [1]);
        assert_eq!(start.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_batch_is_written_at_once_and_leaves_the_rest_for_the_next() {
        let (sender, mut entries) = mpsc::channel(8);
        let pending = PendingResults::default();
        let _long = pending.expect();
        for number in 0..5 {
            sender.send(number).await.unwrap();
        }
        let start = Instant::now();
        assert_eq!(gathered(&mut entries, &pending).await, [0, 1, 2, 3]);
        assert_eq!(start.elapsed(), Duration::ZERO);
        drop(sender);
        assert_eq!(gathered(&mut entries, &pending).await, [4]);
        assert!(gathered(&mut entries, &pending).await.is_empty());
    }
}
