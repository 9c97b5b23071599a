//! How does a test wait for a condition?

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

const PAUSE: Duration = Duration::from_millis(20);

/// Asks `probe` again and again until it has an answer, and fails the test, naming `what`
/// was awaited, when there is none within `deadline`.
#[expect(clippy::panic, reason = "its purpose is to fail the test")]
pub async fn eventually<T, F, Fut>(deadline: Duration, what: &str, mut probe: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let end = Instant::now() + deadline;
    let mut asked = 0_u32;
    while let Ok(answer) = timeout_at(end, probe()).await {
        if let Some(value) = answer {
            return value;
        }
        asked += 1;
        if Instant::now() >= end {
            break;
        }
        sleep(PAUSE).await;
    }
    panic!("not within {deadline:?}: {what} (asked {asked} times)");
}
