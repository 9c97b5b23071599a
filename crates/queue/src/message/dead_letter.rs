//! Dead letters: exhausted deliveries, and messages that the broker moved by
//! itself.

use bytes::Bytes;
use wahook_domain::{EndpointName, EventId, EventName, QueuedEvent, UnixMillis};

use super::{
    metadata::{Death, MessageMetadata},
    poison::Poison,
};
use crate::topology;

/// Message that was given up: an exhausted delivery, or an undecodable message.
/// Its id and name are unchecked, because it may be anything.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    pub id: Option<String>,
    /// Name of the event.
    pub event: Option<String>,
    pub endpoint: Option<EndpointName>,
    /// Reason for which it was given up, for operators.
    pub reason: String,
    /// True if the last attempt failed because of an outage of the endpoint; `None` if no
    /// consumer gave it up, or one of an earlier version.
    pub is_outage: Option<bool>,
    pub died_at: Option<UnixMillis>,
    /// True if the broker moved the message by itself, because it was
    /// undecodable or delivered too often. The log has no record of that.
    pub moved_by_broker: bool,
    /// Decoded event.
    pub content: Result<QueuedEvent, Poison>,
    pub payload: Bytes,
}

impl DeadLetter {
    pub(crate) fn new(metadata: MessageMetadata, payload: Bytes) -> Self {
        let content = metadata.clone().decode_event(payload.clone());
        let death = metadata.death.as_ref();
        let endpoint = metadata
            .endpoint
            .or_else(|| topology::endpoint_of(death?.queue.as_deref()?));
        let reason = match (&content, metadata.reason) {
            (Err(poison), _) => format!("undecodable: {poison}"),
            (Ok(_), Some(reason)) => reason,
            (Ok(_), None) => death.map(describe).unwrap_or_default(),
        };
        Self {
            id: metadata.id.as_ref().map(EventId::to_string),
            event: metadata.event.as_ref().map(EventName::to_string),
            endpoint,
            reason,
            is_outage: metadata.is_outage,
            died_at: metadata.dead_at.or_else(|| death?.at),
            // Only a consumer writes this time.
            moved_by_broker: metadata.dead_at.is_none(),
            content,
            payload,
        }
    }
}

fn describe(death: &Death) -> String {
    match death.reason.as_str() {
        "delivery_limit" => "delivered too often without an ack: \
                             it may crash its consumers"
            .to_owned(),
        other => format!("moved by the broker: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{DeathReason, Outgoing, Stored};
    use wahook_domain::{AttemptNumber, EventBody, OrderKey};

    fn event() -> QueuedEvent {
        let body = br#"{"event":"call","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
        QueuedEvent {
            attempt: AttemptNumber::new(3).unwrap(),
            redriven_at: Some(UnixMillis::new(1_727_784_000_999)),
            key: Some(OrderKey::sent("order-7").unwrap()),
            is_redelivery: true,
            auto_redrives: 2,
            ..QueuedEvent::new(
                EventId::parse("evt-1").unwrap(),
                EventName::parse("call").unwrap(),
                EventBody::check(Bytes::from_static(body)).unwrap(),
                UnixMillis::new(1_727_784_000_123),
            )
        }
    }

    fn read(stored: Stored) -> DeadLetter {
        DeadLetter::new(stored.metadata, stored.payload)
    }

    #[test]
    fn a_dead_letter_has_the_event_its_endpoint_and_the_reason() {
        let now = UnixMillis::new(1_727_784_035_000);
        let (endpoint, reason) = (EndpointName::default(), "answered 500");
        let outgoing = Outgoing::dead_letter(&event(), &endpoint, reason, now);
        assert_eq!(read(outgoing.clone().into()).is_outage, None);
        let dead = read(outgoing.of_outage(false).into());
        assert_eq!(dead.content, Ok(event()));
        assert_eq!((dead.endpoint, dead.died_at), (Some(endpoint), Some(now)));
        assert_eq!(dead.reason, "answered 500");
        assert_eq!(dead.is_outage, Some(false));
        assert!(!dead.moved_by_broker);
    }

    #[test]
    fn a_moved_message_has_its_queue_time_and_reason_and_is_otherwise_unchanged() {
        let stored = Stored::from(Outgoing::event(&event()));
        let now = UnixMillis::new(1_727_784_001_234);
        let dead = read(stored.died("wahook.deliver.crm", DeathReason::DeliveryLimit, now));
        assert_eq!(dead.content, Ok(event()));
        assert_eq!(dead.endpoint, EndpointName::parse("crm").ok());
        assert_eq!(dead.died_at, Some(now));
        assert!(dead.moved_by_broker);
        assert!(dead.reason.contains("too often"), "{}", dead.reason);
    }

    #[test]
    fn an_undecodable_message_is_a_dead_letter_with_the_defect() {
        let dead = read(Stored {
            metadata: MessageMetadata::default(),
            payload: Bytes::new(),
        });
        assert_eq!(
            dead.reason,
            "undecodable: message_id is missing or malformed"
        );
        assert_eq!((dead.id, dead.endpoint, dead.died_at), (None, None, None));
    }
}
