//! Waiting for a condition.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Limit of a wait whose length no promise names: far more than a busy machine needs.
pub const AT_LAST: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(20);

/// Polls `probe` until it returns a value. After `deadline` the test fails with a message that
/// names `what`.
#[expect(clippy::panic, reason = "its purpose is to fail the test")]
pub async fn eventually<T, F, Fut>(deadline: Duration, what: &str, mut probe: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let end = Instant::now() + deadline;
    let mut polls = 0_u32;
    while let Ok(answer) = timeout_at(end, probe()).await {
        if let Some(value) = answer {
            return value;
        }
        polls += 1;
        if Instant::now() >= end {
            break;
        }
        sleep(PAUSE).await;
    }
    panic!("not within {deadline:?}: {what} (polled {polls} times)");
}
