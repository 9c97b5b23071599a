//! Waits for conditions.

use std::time::{Duration, Instant};

use anyhow::bail;

/// Time limit for the system to finish all events once the faults are over.
const DONE_WITHIN: Duration = Duration::from_secs(360);
const PAUSE: Duration = Duration::from_millis(100);

/// Waits until `is_so` returns true; fails with `what` after the time limit.
pub(crate) async fn until<F>(what: &str, is_so: impl Fn() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let end = Instant::now() + DONE_WITHIN;
    while !is_so().await? {
        if Instant::now() > end {
            bail!("not within {DONE_WITHIN:?}: {what}");
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
