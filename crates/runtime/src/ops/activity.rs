//! State of a connection that the server shares with it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Notify;

/// Value of [`Activity::turn`] while a request is in progress.
const ANSWERING: u64 = u64::MAX;

/// Source of turns: a counter that orders the ends of answers on all connections.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<AtomicU64>);

/// Activity of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    /// Turn of the last answer, or of the accept.
    turn: AtomicU64,
    turns: Turns,
    close: Notify,
}

/// Marks the connection as answering until it is dropped.
pub(super) struct Answering<'a>(&'a Activity);

impl Turns {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

impl Activity {
    pub(super) fn new(turns: &Turns) -> Self {
        Self {
            turn: AtomicU64::new(turns.next()),
            turns: turns.clone(),
            close: Notify::new(),
        }
    }

    pub(super) fn answering(&self) -> Answering<'_> {
        self.turn.store(ANSWERING, Ordering::Relaxed);
        Answering(self)
    }

    /// Returns the turn since which no request is in progress: the smallest belongs to
    /// the connection that is idle longest. `None` while a request is in progress.
    pub(super) fn idle_since(&self) -> Option<u64> {
        Some(self.turn.load(Ordering::Relaxed)).filter(|turn| *turn != ANSWERING)
    }

    /// Asks the connection to close, at once if it is idle, else after its answer.
    pub(super) fn close(&self) {
        self.close.notify_one();
    }

    /// Waits for [`close`](Self::close).
    pub(super) async fn close_requested(&self) {
        self.close.notified().await;
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.turn.store(self.0.turns.next(), Ordering::Relaxed);
    }
}
