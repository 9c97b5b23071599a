//! Metrics of the producer.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry, Result};
use wahook_runtime::{families, metrics::BrokerMetrics, ops::RefusalLog};

/// A confirm takes about 1 ms on an idle broker, and publishing gives up within 10 s.
const CONFIRM_SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

families! {
    /// Families of the producer.
    ProducerFamilies {
        /// Events answered 202 and confirmed by the broker for at least one endpoint, or stored
        /// in the spool.
        events_accepted: IntCounter = "wahook_events_accepted_total";
        /// Events answered 202 that match no endpoint and are not delivered.
        events_unwanted: IntCounter = "wahook_events_unwanted_total";
        /// Events answered 200 and not published again: the same event was accepted within
        /// the last ten minutes.
        events_duplicate: IntCounter = "wahook_events_duplicate_total";
        /// Refused events by reason; the gateway may send them again.
        events_refused: IntCounterVec = "wahook_events_refused_total" ["reason"];
        /// Events of gateways' own webhooks by source and outcome: `accepted`, `duplicate` or
        /// `unwanted`.
        source_events: IntCounterVec = "wahook_source_events_total" ["source", "outcome"];
        /// Refused requests of gateways' own webhooks by source and reason.
        source_events_refused: IntCounterVec = "wahook_source_events_refused_total" ["source", "reason"];
        /// Requests answered 4xx by reason; also those that are no events, such as unknown paths.
        requests_refused: IntCounterVec = "wahook_requests_refused_total" ["reason"];
        /// Deviations from the documented event format that lenient validation accepted.
        event_warnings: IntCounter = "wahook_event_warnings_total";
        /// Received batches of events.
        batches: IntCounter = "wahook_batches_total";
        /// Seconds from the publishing of an event to the broker's confirm.
        publish_confirm: Histogram = "wahook_publish_confirm_seconds" in CONFIRM_SECONDS;
        /// Requests in flight.
        requests_in_flight: IntGauge = "wahook_requests_in_flight";
    }
}

/// Series of the producer. Clones share the counts.
#[derive(Debug, Clone)]
pub struct ProducerMetrics {
    /// Events answered 202, for at least one endpoint or in the spool.
    pub events_accepted: IntCounter,
    /// Events answered 202 that match no endpoint.
    pub events_unwanted: IntCounter,
    /// Events answered 200, because they were accepted before.
    pub events_duplicate: IntCounter,
    /// Deviations that lenient validation accepted.
    pub event_warnings: IntCounter,
    /// Received batches.
    pub batches: IntCounter,
    /// Seconds from a publish to its confirm.
    pub publish_confirm_seconds: Histogram,
    /// Requests in flight; see [`wahook_runtime::metrics::InFlightGuard`].
    pub requests_in_flight: IntGauge,
    pub broker: BrokerMetrics,
    /// Counter of [`wahook_runtime::ops::RefusalLog`].
    pub requests_refused: IntCounterVec,
    events_refused: IntCounterVec,
    /// Events by source and outcome.
    pub source_events: IntCounterVec,
    /// Refused requests by source and reason.
    pub source_events_refused: IntCounterVec,
}

/// Reason why an event was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// The body, or a line of a batch, is not JSON.
    NotJson,
    /// JSON, but not a valid event.
    InvalidEvent,
    /// The `Idempotency-Key` header is not a valid id.
    InvalidIdempotencyKey,
    /// The `X-Webhook-Key` header is not a valid key.
    InvalidWebhookKey,
    /// No token or signature, or a wrong one.
    Unauthorized,
    /// No source of this name.
    UnknownSource,
    /// The request may come from a web page of another host.
    ForeignPage,
    /// More bytes than allowed.
    TooLarge,
    /// Neither JSON nor NDJSON by its `Content-Type`.
    UnsupportedMediaType,
    /// The connection closed, or the client was too slow.
    Unreadable,
    /// There is no connection to the broker.
    BrokerUnavailable,
    /// The broker blocks publishers.
    BrokerBlocked,
    /// The broker refused the message.
    BrokerRefused,
    /// No confirm within the deadline.
    ConfirmTimeout,
    /// The connection was lost before the confirm.
    ConfirmLost,
    /// No queue is bound for the event.
    Unroutable,
    /// The broker takes no events, and the spool is full.
    SpoolFull,
    /// The broker takes no events, and the spool can't be written.
    SpoolUnusable,
    /// Too much work is in flight.
    Busy,
    /// The program is stopping.
    Stopping,
}

impl ProducerMetrics {
    /// Registers the producer's families.
    ///
    /// # Errors
    /// When the registry holds them already.
    pub fn new(registry: &Registry) -> Result<Self> {
        let broker = BrokerMetrics::new(registry)?;
        let families = ProducerFamilies::register(registry)?;
        for reason in RefusalReason::all() {
            let _ = families.events_refused.with_label_values(&[reason.label()]);
        }
        let of_request = RefusalReason::OF_REQUEST.map(|reason| reason.label());
        for reason in of_request.into_iter().chain(RefusalLog::REASONS) {
            let _ = families.requests_refused.with_label_values(&[reason]);
        }
        Ok(Self {
            events_accepted: families.events_accepted,
            events_unwanted: families.events_unwanted,
            events_duplicate: families.events_duplicate,
            event_warnings: families.event_warnings,
            batches: families.batches,
            publish_confirm_seconds: families.publish_confirm,
            requests_in_flight: families.requests_in_flight,
            broker,
            requests_refused: families.requests_refused,
            events_refused: families.events_refused,
            source_events: families.source_events,
            source_events_refused: families.source_events_refused,
        })
    }

    /// Returns the counter of refusals for this reason.
    #[must_use]
    pub fn events_refused(&self, reason: RefusalReason) -> IntCounter {
        self.events_refused.with_label_values(&[reason.label()])
    }
}

impl RefusalReason {
    /// Reasons that are the request's own, answered 4xx.
    const OF_REQUEST: [Self; 10] = [
        Self::NotJson,
        Self::InvalidEvent,
        Self::InvalidIdempotencyKey,
        Self::InvalidWebhookKey,
        Self::Unauthorized,
        Self::UnknownSource,
        Self::ForeignPage,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Unreadable,
    ];

    /// Reasons of this service or its broker.
    const OF_SERVICE: [Self; 10] = [
        Self::BrokerUnavailable,
        Self::BrokerBlocked,
        Self::BrokerRefused,
        Self::ConfirmTimeout,
        Self::ConfirmLost,
        Self::Unroutable,
        Self::SpoolFull,
        Self::SpoolUnusable,
        Self::Busy,
        Self::Stopping,
    ];

    /// Returns all reasons.
    fn all() -> impl Iterator<Item = Self> {
        Self::OF_REQUEST.into_iter().chain(Self::OF_SERVICE)
    }

    /// Returns the label value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::InvalidEvent => "invalid_event",
            Self::InvalidIdempotencyKey => "invalid_idempotency_key",
            Self::InvalidWebhookKey => "invalid_webhook_key",
            Self::Unauthorized => "unauthorized",
            Self::UnknownSource => "unknown_source",
            Self::ForeignPage => "foreign_page",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Unreadable => "unreadable",
            Self::BrokerUnavailable => "broker_unavailable",
            Self::BrokerBlocked => "broker_blocked",
            Self::BrokerRefused => "broker_refused",
            Self::ConfirmTimeout => "confirm_timeout",
            Self::ConfirmLost => "confirm_lost",
            Self::Unroutable => "unroutable",
            Self::SpoolFull => "spool_full",
            Self::SpoolUnusable => "spool_unusable",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
        }
    }
}

#[cfg(test)]
mod tests {
    use wahook_runtime::metrics::render;

    use super::*;

    #[test]
    fn producer_metrics_are_complete_from_the_start() {
        let registry = Registry::new();
        let _metrics = ProducerMetrics::new(&registry).unwrap();
        let families = registry.gather();
        let names: Vec<&str> = families.iter().map(|family| family.name()).collect();
        assert_eq!(
            names,
            [
                "wahook_batches_total",
                "wahook_broker_blocked",
                "wahook_broker_blocked_total",
                "wahook_connection_up",
                "wahook_event_warnings_total",
                "wahook_events_accepted_total",
                "wahook_events_duplicate_total",
                "wahook_events_refused_total",
                "wahook_events_unwanted_total",
                "wahook_publish_confirm_seconds",
                "wahook_reconnects_total",
                "wahook_requests_in_flight",
                "wahook_requests_refused_total",
            ]
        );
        let text = render(&registry);
        for reason in RefusalReason::all().map(RefusalReason::label) {
            let sample = format!("wahook_events_refused_total{{reason=\"{reason}\"}} 0");
            assert!(text.lines().any(|line| line == sample), "{sample}");
        }
    }
}
