//! Deadline for every step at the broker. lapin may never answer a request that
//! is sent while the connection breaks, and its own `connection_timeout` does
//! not cover a frozen broker.

use std::{future::Future, time::Duration};
use tokio::time::timeout;

/// Time limit for a step. After it, the connection is dead or the queue has no
/// leader.
pub(crate) const STEP_LIMIT: Duration = Duration::from_secs(10);

/// The broker did not answer in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer from the broker within {} s", STEP_LIMIT.as_secs())]
pub struct TimedOut;

/// Runs a step for at most [`STEP_LIMIT`].
pub(crate) async fn with_deadline<T>(step: impl Future<Output = T>) -> Result<T, TimedOut> {
    timeout(STEP_LIMIT, step).await.map_err(|_| TimedOut)
}
