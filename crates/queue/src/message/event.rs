//! Messages of events: their address, metadata and decoding.

use bytes::Bytes;
use std::time::Duration;
use wahook_domain::{
    AttemptNumber, BodyFault, EndpointName, EventBody, Origin, QueuedEvent, UnixMillis, WaitStep,
    canonical_body,
};

use super::{
    header, metadata::MessageMetadata, outgoing::Outgoing, poison::Poison, stored::Stored,
};
use crate::topology;

impl Outgoing {
    /// Creates the message of a new event, for every endpoint that wants it.
    #[must_use]
    pub fn event(event: &QueuedEvent) -> Self {
        Self {
            has_key: true,
            ..Self::new(
                topology::exchange_of(&event.name).into(),
                topology::routing_key(&event.name),
                event.into(),
                event.carried_body().bytes(),
            )
        }
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
            topology::routing_key(&event.name),
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
            event.carried_body().bytes(),
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
        Self::to_queue(
            topology::DEAD_QUEUE.into(),
            metadata,
            event.carried_body().bytes(),
        )
    }

    /// Marks a dead letter: true if the last attempt failed because of an outage of the
    /// endpoint, false if the event was refused or given up.
    #[must_use]
    pub fn of_outage(mut self, is_outage: bool) -> Self {
        self.metadata.is_outage = Some(is_outage);
        self
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
        Self::to_queue(
            topology::work_queue(endpoint),
            metadata,
            event.carried_body().bytes(),
        )
    }

    /// Creates the message of a redrive that no operator requested, and counts it.
    #[must_use]
    pub fn auto_redrive(event: &QueuedEvent, endpoint: &EndpointName, now: UnixMillis) -> Self {
        let mut redriven = Self::redrive(event, endpoint, now);
        redriven.metadata.auto_redrives = event.auto_redrives.saturating_add(1);
        redriven
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
        Self::to_queue(queue, event.into(), event.carried_body().bytes())
    }

    /// Creates a message for exactly one queue.
    pub(super) fn to_queue(queue: String, metadata: MessageMetadata, payload: Bytes) -> Self {
        Self::new(String::new(), queue, metadata, payload)
    }
}

impl Stored {
    /// Creates the same message for a queue of another store, where no slot has it.
    #[must_use]
    pub fn to_queue(&self, queue: &str) -> Outgoing {
        let metadata = MessageMetadata {
            parked: None,
            ..self.metadata.clone()
        };
        Outgoing::to_queue(queue.to_owned(), metadata, self.payload.clone())
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
        let id = self.id.ok_or(missing(header::MESSAGE_ID))?;
        let name = self.event.ok_or(missing(header::TYPE))?;
        let attempt = self.attempt.ok_or(missing(header::ATTEMPT))?;
        let accepted_at = self.accepted_at.ok_or(missing(header::FIRST_PUBLISHED))?;
        let (body, exact) = if self.is_exact {
            let body = canonical_body(&payload, accepted_at).map_err(no_event)?;
            (body, Some(EventBody::as_received(payload)))
        } else {
            (body_of(payload, self.origin.as_deref())?, None)
        };
        Ok(QueuedEvent {
            id,
            name,
            attempt,
            accepted_at,
            body,
            exact,
            redriven_at: self.redriven_at,
            traceparent: self.traceparent,
            propagated: self.propagated,
            origin: self.origin,
            key: self.key,
            is_redelivery: self.is_redelivery,
            auto_redrives: self.auto_redrives,
        })
    }
}

/// Returns the body of a message: an event in canonical form, or what a gateway posted.
pub(super) fn body_of(payload: Bytes, origin: Option<&Origin>) -> Result<EventBody, Poison> {
    if origin.is_some_and(|origin| origin.received.is_some()) {
        return Ok(EventBody::as_received(payload));
    }
    EventBody::check(payload).map_err(no_event)
}

pub(super) fn no_event(fault: BodyFault) -> Poison {
    Poison::Payload(fault.to_string())
}

#[cfg(test)]
mod tests;
