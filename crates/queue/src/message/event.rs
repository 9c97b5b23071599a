//! Messages of events: their address, metadata and decoding.

use bytes::Bytes;
use std::time::Duration;
use wahook_domain::{
    AttemptNumber, CanonicalBody, EndpointName, QueuedEvent, UnixMillis, WaitStep,
};

use super::{
    header, metadata::MessageMetadata, outgoing::Outgoing, poison::Poison, stored::Stored,
};
use crate::{routing::routing_key, topology};

impl Outgoing {
    /// Creates the message of a new event, for every endpoint that wants it.
    #[must_use]
    pub fn event(event: &QueuedEvent) -> Self {
        Self::new(
            topology::exchange_of(&event.name).into(),
            routing_key(&event.name),
            event.into(),
            event.body.bytes(),
        )
    }

    /// Creates a query that is confirmed if no endpoint wants the event; it
    /// does not contain the event. It is unroutable if an endpoint wants the
    /// event, or if no consumer has declared its endpoints' filters yet.
    #[must_use]
    pub fn unwanted_query(event: &QueuedEvent) -> Self {
        let metadata = MessageMetadata {
            id: Some(event.id.clone()),
            ..MessageMetadata::default()
        };
        Self::new(
            topology::FILTERS_EXCHANGE.into(),
            routing_key(&event.name),
            metadata,
            Bytes::new(),
        )
    }

    /// Creates the message of the next attempt, delayed by `step`.
    #[must_use]
    pub fn retry(event: &QueuedEvent, endpoint: &EndpointName, step: WaitStep) -> Self {
        let metadata = MessageMetadata {
            attempt: Some(event.attempt.next()),
            ..MessageMetadata::from(event)
        };
        Self::new(
            topology::wait_queue(step),
            topology::work_queue(endpoint),
            metadata,
            event.body.bytes(),
        )
    }

    /// Creates the dead letter of an exhausted delivery, for redrive; `reason`
    /// is for operators, `now` the time at which it was given up.
    #[must_use]
    pub fn dead_letter(
        event: &QueuedEvent,
        endpoint: &EndpointName,
        reason: &str,
        now: UnixMillis,
    ) -> Self {
        let metadata = MessageMetadata {
            endpoint: Some(endpoint.clone()),
            reason: Some(reason.to_owned()),
            dead_at: Some(now),
            ..MessageMetadata::from(event)
        };
        Self::to_queue(topology::DEAD_QUEUE.into(), metadata, event.body.bytes())
    }

    /// Creates the message that returns a dead letter to its work queue, for a
    /// new round of attempts that begins `now`.
    #[must_use]
    pub fn redrive(event: &QueuedEvent, endpoint: &EndpointName, now: UnixMillis) -> Self {
        let metadata = MessageMetadata {
            attempt: Some(AttemptNumber::FIRST),
            redriven_at: Some(now),
            ..MessageMetadata::from(event)
        };
        Self::to_queue(topology::work_queue(endpoint), metadata, event.body.bytes())
    }

    /// Creates the message that returns an event to its work queue for the same
    /// attempt, because its endpoint is unavailable.
    ///
    /// The event is republished rather than requeued: the broker counts the
    /// deliveries of a message and dead-letters it above a limit, and waiting
    /// for an endpoint must never count.
    #[must_use]
    pub fn republish(event: &QueuedEvent, endpoint: &EndpointName) -> Self {
        let queue = topology::work_queue(endpoint);
        Self::to_queue(queue, event.into(), event.body.bytes())
    }

    /// Creates a message for exactly one queue.
    pub(super) fn to_queue(queue: String, metadata: MessageMetadata, payload: Bytes) -> Self {
        Self::new(String::new(), queue, metadata, payload)
    }
}

impl Stored {
    /// Creates the same message for a queue of another store.
    #[must_use]
    pub fn to_queue(&self, queue: &str) -> Outgoing {
        Outgoing::to_queue(
            queue.to_owned(),
            self.metadata.clone(),
            self.payload.clone(),
        )
    }

    /// Creates the same message for a wait of `left` before it moves to
    /// `queue`. The wait queue of `step` ends each wait after that step in any
    /// case. A message is never early, and late by at most the step: a quorum
    /// queue checks the expiry of its first message only.
    #[must_use]
    pub fn to_wait(&self, step: WaitStep, left: Duration, queue: &str) -> Outgoing {
        Outgoing {
            exchange: topology::wait_queue(step),
            expires_after: Some(left),
            ..self.to_queue(queue)
        }
    }
}

impl MessageMetadata {
    /// Decodes a message of a work queue: the counterpart of
    /// [`Outgoing::event`].
    ///
    /// # Errors
    /// When wahook did not write the message, or its payload is not an event.
    pub fn decode_event(self, payload: Bytes) -> Result<QueuedEvent, Poison> {
        if let Some(defect) = self.defect {
            return Err(defect);
        }
        let missing = Poison::Missing;
        Ok(QueuedEvent {
            id: self.id.ok_or(missing(header::MESSAGE_ID))?,
            name: self.event.ok_or(missing(header::TYPE))?,
            attempt: self.attempt.ok_or(missing(header::ATTEMPT))?,
            accepted_at: self.accepted_at.ok_or(missing(header::FIRST_PUBLISHED))?,
            body: CanonicalBody::check(payload).map_err(|e| Poison::Payload(e.to_string()))?,
            redriven_at: self.redriven_at,
            traceparent: self.traceparent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::metadata::DeathReason;
    use wahook_domain::{EventId, EventName};

    fn event() -> QueuedEvent {
        let body =
            br#"{"event":"message_ack","data":{"ack":3},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
        QueuedEvent {
            id: EventId::parse("evt-1").unwrap(),
            name: EventName::parse("message_ack").unwrap(),
            body: CanonicalBody::check(Bytes::from_static(body)).unwrap(),
            attempt: AttemptNumber::FIRST,
            accepted_at: UnixMillis::new(1_727_784_000_123),
            redriven_at: None,
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        }
    }

    fn read_back(outgoing: &Outgoing) -> QueuedEvent {
        Stored::from(outgoing.clone()).content().unwrap()
    }

    #[test]
    fn a_published_event_is_decoded_unchanged() {
        let outgoing = Outgoing::event(&event());
        assert_eq!(read_back(&outgoing), event());
        assert_eq!(outgoing.address(), ("wahook.known", "message._.ack"));
    }

    #[test]
    fn a_retry_waits_its_step_and_returns_to_its_work_queue_as_the_next_attempt() {
        let step = WaitStep::of_millis(5_000).unwrap();
        let outgoing = Outgoing::retry(&event(), &EndpointName::default(), step);
        let address = ("wahook.wait.5000", "wahook.deliver.default");
        assert_eq!(outgoing.address(), address);
        let expected = QueuedEvent {
            attempt: AttemptNumber::FIRST.next(),
            ..event()
        };
        assert_eq!(read_back(&outgoing), expected);
    }

    #[test]
    fn a_redriven_event_begins_again_at_attempt_1_with_the_same_id() {
        let exhausted = QueuedEvent {
            attempt: AttemptNumber::new(4).unwrap(),
            ..event()
        };
        let now = UnixMillis::new(1_727_900_000_000);
        let outgoing = Outgoing::redrive(&exhausted, &EndpointName::default(), now);
        assert_eq!(outgoing.address(), ("", "wahook.deliver.default"));
        let decoded = read_back(&outgoing);
        assert_eq!(decoded.queued_at(), now);
        let expected = QueuedEvent {
            redriven_at: Some(now),
            ..event()
        };
        assert_eq!(decoded, expected);
    }

    #[test]
    fn a_message_moves_to_another_store_unchanged_and_with_its_remaining_wait() {
        let stored = Stored::from(Outgoing::event(&event()));
        let moved = stored.to_queue("wahook.deliver.crm");
        assert_eq!(moved.address(), ("", "wahook.deliver.crm"));
        assert_eq!(Stored::from(moved), stored);
        let step = WaitStep::of_millis(20_000).unwrap();
        let waits = stored.to_wait(step, Duration::from_millis(7_001), "wahook.deliver.crm");
        assert_eq!(waits.address(), ("wahook.wait.20000", "wahook.deliver.crm"));
        assert_eq!(waits.expires_after, Some(Duration::from_millis(7_001)));
        assert_eq!(Stored::from(waits), stored);
    }

    #[test]
    fn an_incomplete_message_is_poison() {
        let of = |change: fn(&mut MessageMetadata)| {
            let mut metadata = MessageMetadata::from(&event());
            change(&mut metadata);
            metadata.decode_event(event().body.bytes()).unwrap_err()
        };
        assert_eq!(of(|m| m.id = None), Poison::Missing("message_id"));
        assert_eq!(of(|m| m.event = None), Poison::Missing("type"));
        assert_eq!(of(|m| m.attempt = None), Poison::Missing("x-attempt"));
        let accepted = of(|m| m.accepted_at = None);
        assert_eq!(accepted, Poison::Missing("x-first-published-ms"));
        let other = of(|m| m.defect = Some(Poison::Version(2)));
        assert_eq!(other, Poison::Version(2));
        let bytes = Bytes::from_static(&[0xff, 0x00, 0x7b]);
        let payload = MessageMetadata::from(&event()).decode_event(bytes);
        assert!(matches!(payload, Err(Poison::Payload(_))));
    }

    #[test]
    fn a_dead_message_keeps_its_event() {
        let stored = Stored::from(Outgoing::event(&event()));
        let died = stored.died(
            "wahook.deliver.crm",
            DeathReason::Rejected,
            UnixMillis::new(1),
        );
        assert_eq!(died.content().unwrap(), event());
    }
}
