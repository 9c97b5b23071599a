//! Deliverer: what all deliveries to one endpoint share.

use std::sync::Arc;
use wahook_delivery_log::SharedLog;
use wahook_domain::{EndpointName, Order, OrderKey, QueuedEvent};
use wahook_queue::{AckError, Outgoing, Publisher, Receipt, Received};

use crate::{
    admission::{Admission, Started},
    client::EndpointClient,
    log_health::LogHealth,
    metrics::{ConsumerMetrics, EndpointMetrics},
    outages::OutageWatch,
    recorder::Recorder,
    settings::EndpointSettings,
    unfinished::Unfinished,
};

/// Delivers events to one endpoint; shared by all of its deliveries.
pub(crate) struct Deliverer {
    pub(crate) name: EndpointName,
    pub(crate) settings: EndpointSettings,
    /// Queues of the endpoint's lanes; empty without order.
    pub(crate) lanes: Vec<String>,
    pub(crate) client: EndpointClient,
    pub(crate) admission: Arc<Admission>,
    pub(crate) unfinished: Arc<Unfinished>,
    pub(crate) outages: Arc<OutageWatch>,
    /// Publishes retries and dead letters.
    pub(crate) publisher: Publisher,
    pub(crate) recorder: Recorder,
    /// Delivery log, for the look-up of redelivered messages.
    pub(crate) log: SharedLog,
    /// Skips the look-up while the log is unavailable.
    pub(crate) log_health: LogHealth,
    pub(crate) metrics: EndpointMetrics,
    /// Metrics of all endpoints together.
    pub(crate) totals: ConsumerMetrics,
}

/// Purpose of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptKind {
    Delivery(Started),
    /// Tests whether a paused endpoint has recovered.
    Probe,
}

impl Deliverer {
    /// Puts this deliverer's settings into effect.
    pub(crate) fn take_effect(&self) {
        self.metrics.limit.set(self.settings.concurrency.into());
        self.admission.apply_settings(&self.settings);
        self.outages.set_rule(self.settings.auto_redrive);
    }

    /// Returns the key whose events the endpoint receives in order.
    pub(crate) fn lane_key(&self, event: &QueuedEvent) -> OrderKey {
        // Without an order, only events of earlier lanes have one.
        let order = self.settings.lanes.map_or(Order::Chat, |lanes| lanes.order);
        order.key_of(event)
    }

    /// Returns true if the endpoint's filter drops the event. A delivery that has begun is
    /// completed, so that its record does not stay unfinished.
    pub(crate) fn drops(&self, event: &QueuedEvent) -> bool {
        self.settings
            .filter
            .as_ref()
            .is_some_and(|filter| event.is_untried() && !filter.wants(event.origin.as_deref()))
    }

    /// Returns true if the endpoint's filter drops the event of a message.
    pub(crate) fn drops_message(&self, received: &Received) -> bool {
        let has_filter = self.settings.filter.is_some();
        has_filter && received.event().is_ok_and(|event| self.drops(&event))
    }

    /// Publishes the event to its queue again and acknowledges the message, without a
    /// counted attempt.
    pub(crate) async fn republish_event(&self, event: &QueuedEvent, receipt: Receipt) {
        self.republish(event).await;
        log_ack_failure(receipt.ack().await);
    }

    /// Publishes the event to its queue again, and counts it.
    pub(crate) async fn republish(&self, event: &QueuedEvent) {
        let again = Outgoing::republish(event, &self.name);
        self.publisher.publish_until_confirmed(&again).await;
        self.metrics.republished();
    }
}

/// Logs that an ack failed: the broker redelivers the message.
pub(crate) fn log_ack_failure(result: Result<(), AckError>) {
    if let Err(error) = result {
        tracing::debug!(%error, "ack failed");
    }
}
