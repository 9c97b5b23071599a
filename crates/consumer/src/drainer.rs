//! Drainer: moves results from `wahook.results` to the log once the log has recovered.

use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::sleep;
use wahook_delivery_log::{DeliveryLog, SharedLog};
use wahook_failpoint::{self as failpoint, Failpoint};
use wahook_queue::{ConnectError, ConsumerConnection, Received, SubscriptionEnded, topology};

use crate::{
    bounded_subscription::BoundedSubscription,
    log_health::LogHealth,
    memory::MemoryShare,
    metrics::ConsumerMetrics,
    recorder::{MAX_BATCH, write},
    session_error::SessionError,
};

/// Prefetched messages: two batches, unless they are large.
const PREFETCH: u16 = 2 * MAX_BATCH;

/// Pause after a subscription that the broker ended.
const RESUBSCRIBE_PAUSE: Duration = Duration::from_secs(5);

/// Drains while the log is up; returns only when the connection breaks.
pub(crate) async fn drain(
    connection: &ConsumerConnection,
    log: SharedLog,
    health: LogHealth,
    memory: Arc<MemoryShare>,
    metrics: ConsumerMetrics,
) -> Result<Infallible, SessionError> {
    loop {
        health.up().await;
        let prefetch = memory.prefetch(PREFETCH);
        let subscribed = connection.subscribe(topology::RESULTS_QUEUE, prefetch.messages());
        let subscription = match subscribed.await {
            // Deliveries do not wait for it.
            Err(error @ ConnectError::NoSubscription { .. }) => {
                tracing::warn!(%error, "no subscription to the queue of results, trying again");
                sleep(RESUBSCRIBE_PAUSE).await;
                continue;
            }
            subscribed => subscribed?,
        };
        let subscription = BoundedSubscription::new(subscription, Arc::clone(&memory), prefetch);
        drain_while_up(subscription, &*log, &health, &metrics).await?;
    }
}

/// Returns `Ok` when the log is unavailable or a new subscription is needed. The
/// subscription's channel is closed with it, so the broker keeps unwritten results.
async fn drain_while_up(
    mut subscription: BoundedSubscription,
    log: &dyn DeliveryLog,
    health: &LogHealth,
    metrics: &ConsumerMetrics,
) -> Result<(), SubscriptionEnded> {
    while !subscription.is_outdated() {
        let batch = tokio::select! {
            batch = subscription.next_batch(MAX_BATCH.into()) => batch,
            () = health.down() => return Ok(()),
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) if error.spares_connection() => {
                tracing::warn!(%error, "subscription ended, resubscribing");
                drop(subscription);
                sleep(RESUBSCRIBE_PAUSE).await;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let moved = tokio::select! {
            moved = move_to_log(batch, log, metrics) => moved,
            // Never ends: their bytes are counted on arrival.
            () = subscription.receive() => false,
        };
        if !moved {
            health.set(false);
            return Ok(());
        }
    }
    // Other messages follow until then, and their bytes are counted.
    subscription.cancel().await;
    Ok(())
}

/// Writes a batch and acknowledges it. Returns true if the log accepted it.
async fn move_to_log(
    batch: Vec<Received>,
    log: &dyn DeliveryLog,
    metrics: &ConsumerMetrics,
) -> bool {
    let mut results = Vec::with_capacity(batch.len());
    let mut receipts = Vec::with_capacity(batch.len());
    for received in batch {
        match received.result() {
            Ok(result) => {
                results.push(result);
                receipts.push(received.receipt);
            }
            Err(poison) => {
                tracing::error!(%poison, "undecodable message in wahook.results dead-lettered");
                // If the connection is lost, the broker redelivers it.
                let _ = received.receipt.reject().await;
            }
        }
    }
    let written = results.is_empty() || write(log, &results, metrics).await;
    for receipt in receipts {
        let _ = if written {
            failpoint::pass(Failpoint::Drained);
            receipt.ack().await
        } else {
            receipt.requeue().await
        };
    }
    if written {
        metrics.log_results.drained.inc_by(results.len() as u64);
    }
    written
}
