//! Whether producers publish by key: at connect and once a second the broker is
//! queried on a channel of its own, so that the query, which is returned while no
//! endpoint has several lanes, does not disturb the confirms of events.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use tokio::time::{sleep, timeout};

use super::deadline::with_deadline;
use crate::topology::LANES;

/// Time for which an answer is used.
const FRESH: Duration = Duration::from_secs(1);
/// Time limit for the first answer of a connection. A broker with an alarm gives none;
/// then the answer of the last connection is used.
const FIRST_LIMIT: Duration = Duration::from_secs(2);

/// Last answer of the broker.
#[derive(Debug, Clone, Default)]
pub(super) struct ByKey(Arc<AtomicBool>);

impl ByKey {
    /// Returns true if events must be published by key.
    pub(super) fn is_used(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits for the first answer of a connection, for a limited time.
    pub(super) async fn learn(&self, channel: &Channel) -> lapin::Result<()> {
        let options = ConfirmSelectOptions::default();
        match timeout(FIRST_LIMIT, channel.confirm_select(options)).await {
            Ok(selected) => selected?,
            Err(_) => return Ok(()),
        }
        timeout(FIRST_LIMIT, self.query(channel))
            .await
            .unwrap_or(Ok(()))
    }

    /// Queries the broker again and again, until the channel is closed.
    pub(super) async fn follow(&self, channel: &Channel) {
        loop {
            sleep(FRESH).await;
            // Without an answer in time, the last one is used.
            if let Ok(Err(error)) = with_deadline(self.query(channel)).await {
                tracing::debug!(%error, "lanes can no longer be queried on this connection");
                return;
            }
        }
    }

    async fn query(&self, channel: &Channel) -> lapin::Result<()> {
        let options = BasicPublishOptions {
            mandatory: true,
            immediate: false,
        };
        let properties = BasicProperties::default();
        let confirm = channel
            .basic_publish(LANES.into(), "".into(), options, b"", properties)
            .await?
            .await?;
        let is_used = match confirm {
            Confirmation::Ack(returned) => returned.is_none(),
            // Nothing is proven.
            Confirmation::Nack(_) | Confirmation::NotRequested => return Ok(()),
        };
        if self.0.swap(is_used, Ordering::Relaxed) != is_used {
            tracing::info!(
                by_key = is_used,
                "publishing of events changed, because of the lanes of endpoints"
            );
        }
        Ok(())
    }
}
