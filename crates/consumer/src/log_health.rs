//! Availability of the log, as its writers observe it.

use std::sync::Arc;
use tokio::sync::watch;

/// Availability of the log, shared by all its writers.
#[derive(Clone)]
pub(crate) struct LogHealth(Arc<watch::Sender<bool>>);

impl Default for LogHealth {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(true)))
    }
}

impl LogHealth {
    #[must_use]
    pub(crate) fn is_up(&self) -> bool {
        *self.0.borrow()
    }

    /// Sets the observed state and logs a change.
    pub(crate) fn set(&self, up: bool) {
        let changed = self
            .0
            .send_if_modified(|now| std::mem::replace(now, up) != up);
        match (changed, up) {
            (true, true) => tracing::info!("log available again"),
            (true, false) => {
                tracing::warn!("log unavailable, results go to wahook.results at the broker");
            }
            _ => {}
        }
    }

    /// Waits until the log is up.
    pub(crate) async fn up(&self) {
        self.wait_for(true).await;
    }

    /// Waits until the log is down.
    pub(crate) async fn down(&self) {
        self.wait_for(false).await;
    }

    async fn wait_for(&self, up: bool) {
        // Cannot fail: `self` owns the sender.
        let _ = self.0.subscribe().wait_for(|now| *now == up).await;
    }
}
