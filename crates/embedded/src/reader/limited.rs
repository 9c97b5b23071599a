//! Queries with a time limit, on a thread on which they may block.

use std::time::Duration;

use rusqlite::{Connection, InterruptHandle};
use tokio::{task, time::timeout};
use wahook_delivery_log::LogUnavailable;

use crate::error::unavailable;

/// Interrupts the query of a connection when dropped: at the time limit, or because its caller
/// does not wait any longer. Without effect on a query that has ended.
struct Interrupting(InterruptHandle);

impl Drop for Interrupting {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

/// Runs a query on a connection of its own, for at most `limit`.
pub(super) async fn within<T: Send + 'static>(
    limit: Duration,
    db: Connection,
    query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, LogUnavailable> {
    let _interrupting = Interrupting(db.get_interrupt_handle());
    let running = task::spawn_blocking(move || query(&db));
    match timeout(limit, running).await {
        Ok(Ok(answer)) => answer.map_err(unavailable),
        Ok(Err(stopped)) => Err(unavailable(stopped)),
        Err(_) => Err(LogUnavailable::TooSlow(limit)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const ENDLESS: &str = "WITH RECURSIVE numbers (n) AS \
         (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) SELECT count(*) FROM numbers";

    fn endless(
        ended: mpsc::Sender<bool>,
    ) -> impl FnOnce(&Connection) -> rusqlite::Result<i64> + Send + 'static {
        move |db| {
            let counted = db.query_row(ENDLESS, [], |row| row.get(0));
            ended.send(counted.is_err()).unwrap();
            counted
        }
    }

    #[tokio::test]
    async fn a_query_is_stopped_at_its_time_limit() {
        let (ended, has_failed) = mpsc::channel();
        let db = Connection::open_in_memory().unwrap();
        let limit = Duration::from_millis(50);
        let stopped = within(limit, db, endless(ended)).await;
        assert!(
            matches!(stopped, Err(LogUnavailable::TooSlow(_))),
            "{stopped:?}"
        );
        assert!(has_failed.recv().unwrap());
    }

    #[tokio::test]
    async fn a_query_is_stopped_when_its_caller_leaves() {
        let (ended, has_failed) = mpsc::channel();
        let db = Connection::open_in_memory().unwrap();
        let query = within(Duration::from_secs(600), db, endless(ended));
        assert!(timeout(Duration::from_millis(50), query).await.is_err());
        assert!(has_failed.recv().unwrap());
    }

    #[tokio::test]
    async fn a_short_query_returns_its_answer() {
        let db = Connection::open_in_memory().unwrap();
        let answer = within(Duration::from_secs(600), db, |db| {
            db.query_row("SELECT 7", [], |row| row.get::<_, i64>(0))
        });
        assert_eq!(answer.await.unwrap(), 7);
    }
}
