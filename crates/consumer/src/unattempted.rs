//! End of a delivery without a further attempt.

use std::sync::Arc;
use wahook_domain::{Attempt, QueuedEvent};
use wahook_queue::Receipt;
use wahook_runtime::clock;

use crate::deliverer::{Deliverer, log_ack_failure};

impl Deliverer {
    /// Makes a dead letter of an event, and records that durably; its message then needs an
    /// ack. The record shows the reason as the error of an attempt that took no time, so that
    /// the delivery has failed.
    pub(crate) async fn dead_letter_unattempted(&self, event: &QueuedEvent, reason: &str) {
        let now = clock::now();
        let expected = self.recorder.expect();
        self.publish_dead_letter(event, reason, false, now).await;
        let url = Arc::clone(&self.settings.shown_url);
        let attempt = Attempt {
            error: Some(reason.to_owned()),
            ..Attempt::begun(event, now, url)
        };
        let result = self.result(event, attempt);
        self.recorder.record(result, expected).await;
        self.metrics.dead_lettered();
        let (endpoint, id) = (&self.name, &event.id);
        tracing::warn!(%endpoint, %id, event = event.name.as_str(), reason, "event dead-lettered without a further attempt");
    }

    /// Rejects the message of an event that panics wherever it is processed: the broker
    /// dead-letters it unchanged.
    pub(crate) async fn reject_poison(&self, event: &QueuedEvent, receipt: Receipt) {
        self.totals.poison_messages.inc();
        let (endpoint, id) = (&self.name, &event.id);
        tracing::error!(%endpoint, %id, event = event.name.as_str(), "event whose processing panics dead-lettered");
        log_ack_failure(receipt.reject().await);
    }
}
