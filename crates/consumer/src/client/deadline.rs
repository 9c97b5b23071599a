//! Deadline of an attempt, which an answer that arrives during a freeze still meets.

use std::{future::Future, pin::pin, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};

/// Lateness of the deadline's timer that shows that the process did not run.
const LATE: Duration = Duration::from_secs(1);
/// Time to read what arrived meanwhile.
const GRACE: Duration = Duration::from_secs(2);

/// Returns the result of `attempt`, or `None` after the limit.
///
/// If the process is frozen beyond the limit (a stopped container, a suspended machine), the
/// timer and the answer are both ready when it continues, and the answer wins.
pub(super) async fn within<T>(limit: Duration, attempt: impl Future<Output = T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    let mut attempt = pin!(attempt);
    if let Ok(result) = timeout_at(deadline, &mut attempt).await {
        return Some(result);
    }
    if deadline.elapsed() < LATE {
        return None;
    }
    timeout(GRACE, attempt).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{sync::oneshot, time};

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn the_limit_ends_an_attempt_without_an_answer() {
        let start = Instant::now();
        assert_eq!(within(LIMIT, std::future::pending::<()>()).await, None);
        assert!(start.elapsed() < LIMIT + LATE, "took {:?}", start.elapsed());
    }

    /// The runtime does not run while the clock advances beyond the limit, as in a freeze.
    #[tokio::test(start_paused = true)]
    async fn an_answer_that_arrives_during_a_freeze_wins_over_the_late_timer() {
        let (answer, answered) = oneshot::channel();
        let attempt = tokio::spawn(within(LIMIT, answered));
        tokio::task::yield_now().await;
        time::advance(LIMIT + Duration::from_secs(10)).await;
        // A task that reads the socket, scheduled after the attempt.
        tokio::spawn(async { answer.send("answer") });
        assert_eq!(attempt.await.unwrap(), Some(Ok("answer")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_freeze_does_not_make_an_attempt_endless() {
        let attempt = tokio::spawn(within(LIMIT, std::future::pending::<()>()));
        tokio::task::yield_now().await;
        time::advance(LIMIT + Duration::from_secs(10)).await;
        let start = Instant::now();
        assert_eq!(attempt.await.unwrap(), None);
        assert!(
            start.elapsed() <= GRACE + LATE,
            "took {:?}",
            start.elapsed()
        );
    }
}
