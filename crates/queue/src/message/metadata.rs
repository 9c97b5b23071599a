//! Metadata of a message, as RabbitMQ stores it in properties and the embedded
//! store in columns.

use std::sync::Arc;

use wahook_domain::{
    AttemptNumber, EndpointName, EventId, EventName, OrderKey, Origin, Propagated, QueuedEvent,
    UnixMillis,
};

use super::{parked::Parked, poison::Poison};

/// Everything about a message except its payload. A missing or invalid value is
/// `None`; decoding fails if it is required.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessageMetadata {
    pub id: Option<EventId>,
    /// Name of the event; `None` for a result.
    pub event: Option<EventName>,
    /// Next attempt to make.
    pub attempt: Option<AttemptNumber>,
    /// Time at which the producer accepted the event.
    pub accepted_at: Option<UnixMillis>,
    /// Start of the current round of attempts, unless it is the first.
    pub redriven_at: Option<UnixMillis>,
    /// The payload is the body as the gateway sent it, not the canonical one.
    pub is_exact: bool,
    /// Trace of the event (W3C Trace Context).
    pub traceparent: Option<String>,
    /// Further context of the request (W3C Trace Context and Baggage).
    pub propagated: Option<Arc<Propagated>>,
    /// Source of an event that a gateway posted in its own form.
    pub origin: Option<Arc<Origin>>,
    /// Key of the order of events; `None` also in messages of older versions.
    pub key: Option<OrderKey>,
    /// Sent again at the request of an operator.
    pub is_redelivery: bool,
    /// Number of automatic redrives after outages.
    pub auto_redrives: u8,
    /// Endpoint of an exhausted delivery.
    pub endpoint: Option<EndpointName>,
    /// Reason for which a consumer gave up the delivery.
    pub reason: Option<String>,
    /// True if the last attempt failed because of an outage of the endpoint. `None` in messages
    /// that no consumer gave up, and in those of earlier versions.
    pub is_outage: Option<bool>,
    /// Time at which a consumer gave up the delivery.
    pub dead_at: Option<UnixMillis>,
    /// Last move of the message by the broker itself.
    pub death: Option<Death>,
    /// Result of an attempt as JSON, in a message of `wahook.results`.
    pub result: Option<String>,
    /// State in a lane or a parking slot. Read from RabbitMQ only where it can occur
    /// (`Received::parked`).
    pub parked: Option<Parked>,
    /// Defect of the envelope that no other field shows: another version, or a
    /// malformed optional header.
    pub defect: Option<Poison>,
}

/// Move of a message to the dead letters by the broker itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Death {
    /// Queue that the message left.
    pub queue: Option<String>,
    /// Reason, in RabbitMQ's words.
    pub reason: String,
    /// Time of the move.
    pub at: Option<UnixMillis>,
}

/// Reasons for which the broker dead-letters a message by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeathReason {
    /// Its consumer rejected it.
    Rejected,
    /// Its deliveries reached the limit.
    DeliveryLimit,
}

impl DeathReason {
    /// Returns RabbitMQ's name of the reason.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::DeliveryLimit => "delivery_limit",
        }
    }
}

impl From<&QueuedEvent> for MessageMetadata {
    fn from(event: &QueuedEvent) -> Self {
        Self {
            id: Some(event.id.clone()),
            event: Some(event.name.clone()),
            attempt: Some(event.attempt),
            accepted_at: Some(event.accepted_at),
            redriven_at: event.redriven_at,
            is_exact: event.exact.is_some(),
            traceparent: event.traceparent.clone(),
            propagated: event.propagated.clone(),
            origin: event.origin.clone(),
            key: event.key.clone(),
            is_redelivery: event.is_redelivery,
            auto_redrives: event.auto_redrives,
            ..Self::default()
        }
    }
}
