//! Keeping an eye on the log: its indexes at the start, and its return after it
//! was away.

use backoff::backoff::Backoff;
use std::{future::Future, sync::Arc};
use tokio::time::{sleep, timeout};
use wahook_delivery_log::{DeliveryLog, LogUnavailable};
use wahook_runtime::metrics::ConsumerMetrics;

use crate::recorder::{LOG_LIMIT, LogHealth, log_backoff};

/// Makes the indexes as soon as the log is there, then waits for it whenever it
/// is away. Never returns.
pub(crate) async fn watch<L: DeliveryLog>(
    log: Arc<L>,
    retention_days: Option<u32>,
    health: LogHealth,
    metrics: ConsumerMetrics,
) {
    metrics.log_available.set(1);
    let indexes = {
        let log = Arc::clone(&log);
        async move { until_done("indexes", || log.prepare(retention_days)).await }
    };
    let returns = async {
        loop {
            health.away().await;
            metrics.log_available.set(0);
            until_done("sign of life", || async { answer(log.ping()).await }).await;
            metrics.log_available.set(1);
            health.set(true);
        }
    };
    tokio::join!(indexes, returns);
}

/// A ping that takes longer than a write may is no sign of life.
async fn answer(
    ping: impl Future<Output = Result<(), LogUnavailable>>,
) -> Result<(), LogUnavailable> {
    timeout(LOG_LIMIT, ping)
        .await
        .unwrap_or(Err(LogUnavailable::NoAnswer(LOG_LIMIT)))
}

async fn until_done<F>(what: &str, mut step: impl FnMut() -> F)
where
    F: Future<Output = Result<(), LogUnavailable>>,
{
    let mut backoff = log_backoff();
    while let Err(error) = step().await {
        let pause = backoff.next_backoff().unwrap_or(backoff.max_interval);
        tracing::debug!(%error, what, "the log is away");
        sleep(pause).await;
    }
}
