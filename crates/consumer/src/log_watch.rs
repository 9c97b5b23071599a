//! Log watch: creates the log's indexes at the start and detects its recovery after an
//! outage.

use backoff::backoff::Backoff;
use std::{future::Future, sync::Arc};
use tokio::time::{sleep, timeout};
use wahook_delivery_log::{LogUnavailable, SharedLog};

use crate::{
    log_health::LogHealth,
    metrics::ConsumerMetrics,
    recorder::{LOG_LIMIT, log_backoff},
};

/// Creates the indexes as soon as the log is available, and pings it during each
/// outage. Never returns.
pub(crate) async fn watch(
    log: SharedLog,
    retention_days: Option<u32>,
    health: LogHealth,
    metrics: ConsumerMetrics,
) {
    metrics.log_available.set(1);
    let indexes = {
        let log = Arc::clone(&log);
        async move { until_done("indexes", || log.prepare(retention_days)).await }
    };
    let recoveries = async {
        loop {
            health.down().await;
            metrics.log_available.set(0);
            until_done("ping", || async { ping_within_limit(log.ping()).await }).await;
            metrics.log_available.set(1);
            health.set(true);
        }
    };
    tokio::join!(indexes, recoveries);
}

/// Fails if the ping takes longer than a write may take.
async fn ping_within_limit(
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
        tracing::debug!(%error, what, "log unavailable, retrying");
        sleep(pause).await;
    }
}
