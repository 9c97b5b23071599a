//! Batching of results for the log.
//!
//! A batch costs the log and its driver the same for one result as for many, so it
//! waits for the deliveries in flight. Without any, as for a lone event, it is
//! written immediately.

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

/// Maximum wait of the first result in a batch.
const LIMIT: Duration = Duration::from_millis(15);
/// Polling interval while results are pending. Waking for each result would cost what
/// the batch saves.
const POLL_INTERVAL: Duration = Duration::from_millis(3);

/// Number of deliveries whose results are pending.
#[derive(Debug, Clone, Default)]
pub(crate) struct PendingResults(Arc<AtomicUsize>);

/// Guard of one pending result.
#[derive(Debug)]
pub(crate) struct PendingResult(Arc<AtomicUsize>);

impl PendingResults {
    /// Adds a pending result.
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

/// Size at which a batch is complete.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FullBatch {
    pub(crate) entries: usize,
    /// Bytes of bodies. The last entry may exceed them.
    pub(crate) bytes: usize,
}

/// Fills `batch` with entries to be written together, until it is full. `bytes` returns the size
/// of an entry. Returns false, and no entries, once every sender is dropped.
pub(crate) async fn gather<T>(
    entries: &mut mpsc::Receiver<T>,
    batch: &mut Vec<T>,
    full: FullBatch,
    bytes: fn(&T) -> usize,
    pending: &PendingResults,
) -> bool {
    let Some(first) = entries.recv().await else {
        return false;
    };
    let mut left = full.bytes.saturating_sub(bytes(&first));
    batch.push(first);
    let end = Instant::now() + LIMIT;
    loop {
        while batch.len() < full.entries
            && left > 0
            && let Ok(entry) = entries.try_recv()
        {
            left = left.saturating_sub(bytes(&entry));
            batch.push(entry);
        }
        let is_full = batch.len() >= full.entries || left == 0;
        if is_full || !pending.any() || Instant::now() >= end {
            return true;
        }
        sleep(POLL_INTERVAL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: FullBatch = FullBatch {
        entries: 4,
        bytes: 100,
    };

    /// The entries are their sizes.
    async fn gathered(entries: &mut mpsc::Receiver<usize>, pending: &PendingResults) -> Vec<usize> {
        let mut batch = Vec::new();
        gather(entries, &mut batch, FULL, |bytes| *bytes, pending).await;
        batch
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_result_is_written_at_once() {
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
    async fn a_batch_waits_for_pending_results_and_no_longer() {
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
        assert_eq!(start.elapsed(), 2 * POLL_INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_delivery_does_not_delay_the_results_of_others() {
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

    #[tokio::test(start_paused = true)]
    async fn a_batch_of_large_entries_is_written_at_once_when_its_bytes_are_reached() {
        let (sender, mut entries) = mpsc::channel(8);
        let pending = PendingResults::default();
        let _long = pending.expect();
        for bytes in [60, 30, 30, 500, 100, 1] {
            sender.send(bytes).await.unwrap();
        }
        let start = Instant::now();
        assert_eq!(gathered(&mut entries, &pending).await, [60, 30, 30]);
        assert_eq!(gathered(&mut entries, &pending).await, [500]);
        assert_eq!(gathered(&mut entries, &pending).await, [100]);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(gathered(&mut entries, &pending).await, [1]);
    }
}
