//! Lease: bounds the time for which an owner that was cut off believes that it still owns its
//! lanes.

use std::{convert::Infallible, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use wahook_queue::ConsumerConnection;

use crate::session_error::SessionError;

/// Time after the last question that the broker has answered, after which no attempt starts.
/// The next owner waits as long before it repeats an event that this one may have tried.
const LEASE: Duration = Duration::from_millis(1_500);
/// Interval between questions.
const RENEWED_EVERY: Duration = Duration::from_millis(375);

/// Proof that the consuming connection lives. Without it, an owner that was stopped or cut off
/// would go on with events that another one has meanwhile.
pub(crate) struct Lease {
    /// Time of the last question that was answered; `None` for a store in this process, whose
    /// lanes no other process can own.
    asked_at: Option<watch::Sender<Instant>>,
}

impl Lease {
    pub(crate) fn of(connection: &ConsumerConnection) -> Self {
        let is_remote = connection.is_remote();
        Self {
            asked_at: is_remote.then(|| watch::Sender::new(Instant::now())),
        }
    }

    /// Returns the wait before the next owner may repeat an event.
    pub(crate) const fn wait(&self) -> Duration {
        match self.asked_at {
            Some(_) => LEASE,
            None => Duration::ZERO,
        }
    }

    /// Waits until the lease is valid, which it is unless the broker stopped answering.
    pub(crate) async fn valid(&self) {
        if let Some(asked_at) = &self.asked_at {
            // Cannot fail: `self` owns the sender.
            let _ = asked_at
                .subscribe()
                .wait_for(|asked_at| asked_at.elapsed() < LEASE)
                .await;
        }
    }

    /// Renews the lease until the connection breaks, and reports the number of the queue's
    /// consumers.
    pub(crate) async fn keep(
        &self,
        connection: &ConsumerConnection,
        queue: &str,
        report: impl Fn(u32),
    ) -> Result<Infallible, SessionError> {
        let Some(asked_at) = &self.asked_at else {
            return std::future::pending().await;
        };
        let observer = connection.observe(queue).await?;
        loop {
            let now = Instant::now();
            report(observer.consumers().await?);
            asked_at.send_replace(now);
            sleep(RENEWED_EVERY).await;
        }
    }
}
