//! Metrics of the producer.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, Registry, Result};

use super::{broker::BrokerMetrics, families::ProducerFamilies};

/// Series of the producer. Clones share the counts.
#[derive(Debug, Clone)]
pub struct ProducerMetrics {
    /// Events answered 202, for at least one endpoint.
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
    /// Requests in flight; see [`super::InFlightGuard`].
    pub requests_in_flight: IntGauge,
    pub broker: BrokerMetrics,
    events_refused: IntCounterVec,
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
    /// No token, or a wrong one.
    Unauthorized,
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
        for reason in RefusalReason::ALL {
            let _ = families.events_refused.with_label_values(&[reason.label()]);
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
            events_refused: families.events_refused,
        })
    }

    /// Returns the counter of refusals for this reason.
    #[must_use]
    pub fn events_refused(&self, reason: RefusalReason) -> IntCounter {
        self.events_refused.with_label_values(&[reason.label()])
    }
}

impl RefusalReason {
    pub const ALL: [Self; 15] = [
        Self::NotJson,
        Self::InvalidEvent,
        Self::InvalidIdempotencyKey,
        Self::Unauthorized,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::Unreadable,
        Self::BrokerUnavailable,
        Self::BrokerBlocked,
        Self::BrokerRefused,
        Self::ConfirmTimeout,
        Self::ConfirmLost,
        Self::Unroutable,
        Self::Busy,
        Self::Stopping,
    ];

    /// Returns the label value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::InvalidEvent => "invalid_event",
            Self::InvalidIdempotencyKey => "invalid_idempotency_key",
            Self::Unauthorized => "unauthorized",
            Self::TooLarge => "too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Unreadable => "unreadable",
            Self::BrokerUnavailable => "broker_unavailable",
            Self::BrokerBlocked => "broker_blocked",
            Self::BrokerRefused => "broker_refused",
            Self::ConfirmTimeout => "confirm_timeout",
            Self::ConfirmLost => "confirm_lost",
            Self::Unroutable => "unroutable",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
        }
    }
}
