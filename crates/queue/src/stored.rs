//! Stored form of a message outside RabbitMQ: its properties as text, its bytes
//! as they are.

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use std::time::Duration;
use wahook_domain::{QueuedEvent, UnixMillis, WaitStep};

use crate::{
    dead_letters::DEATHS,
    message::{self, Outgoing, Poison},
    topology,
};

/// Complete message, without its place in a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub(crate) properties: BasicProperties,
    pub(crate) payload: Bytes,
}

/// Reasons for which the broker dead-letters a message by itself, in RabbitMQ's
/// words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeathReason {
    /// Its consumer rejected it.
    Rejected,
    /// Its deliveries reached the limit.
    DeliveryLimit,
}

/// Error for a text that is not a message's properties.
#[derive(Debug, thiserror::Error)]
#[error("the properties of a stored message are unreadable: {0}")]
pub struct Unreadable(#[from] serde_json::Error);

impl Stored {
    /// Parses the text of [`Stored::properties`].
    ///
    /// # Errors
    /// When the text has another form.
    pub fn read(properties: &str, payload: Bytes) -> Result<Self, Unreadable> {
        let properties = serde_json::from_str(properties)?;
        Ok(Self {
            properties,
            payload,
        })
    }

    /// Returns the message's properties as JSON.
    ///
    /// # Errors
    /// Never: strings, numbers and tables always have a JSON form.
    pub fn properties(&self) -> Result<String, Unreadable> {
        Ok(serde_json::to_string(&self.properties)?)
    }

    /// Returns the payload.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Returns the event's id.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.properties
            .message_id()
            .as_ref()
            .map(ShortString::as_str)
    }

    /// Returns the event's name.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        self.properties.kind().as_ref().map(ShortString::as_str)
    }

    /// Decodes the event.
    ///
    /// # Errors
    /// When the message cannot be decoded.
    pub fn content(&self) -> Result<QueuedEvent, Poison> {
        message::decode(&self.properties, self.payload.clone())
    }

    /// Creates the same message for a queue of another store.
    #[must_use]
    pub fn to_queue(&self, queue: &str) -> Outgoing {
        self.outgoing(String::new(), queue, self.properties.clone())
    }

    /// Creates the same message for a wait of `left` before it moves to
    /// `queue`. The wait queue of `step` ends each wait after that step in any
    /// case. A message is never early, and late by at most the step: a quorum
    /// queue checks the expiry of its first message only.
    #[must_use]
    pub fn to_wait(&self, step: WaitStep, left: Duration, queue: &str) -> Outgoing {
        let expiration = left.as_millis().to_string();
        let properties = self.properties.clone().with_expiration(expiration.into());
        self.outgoing(topology::wait_queue(step), queue, properties)
    }

    fn outgoing(&self, exchange: String, key: &str, properties: BasicProperties) -> Outgoing {
        Outgoing {
            exchange,
            routing_key: key.to_owned(),
            payload: self.payload.clone(),
            id: self.properties.message_id().clone().unwrap_or_default(),
            properties: properties.with_delivery_mode(message::PERSISTENT),
        }
    }

    /// Returns the message with a copy of its bytes, which releases the memory
    /// reservation of the first.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            properties: self.properties.clone(),
            payload: Bytes::copy_from_slice(&self.payload),
        }
    }

    /// Returns the message as a dead dead_letter: with a record of its queue, the
    /// reason and the time, as RabbitMQ writes it.
    #[must_use]
    pub fn died(mut self, queue: &str, reason: DeathReason, now: UnixMillis) -> Self {
        let reason = match reason {
            DeathReason::Rejected => "rejected",
            DeathReason::DeliveryLimit => "delivery_limit",
        };
        let mut death = FieldTable::default();
        let seconds = u64::try_from(now.seconds()).unwrap_or_default();
        for (name, value) in [
            ("count", AMQPValue::LongLongInt(1)),
            ("queue", AMQPValue::LongString(queue.into())),
            ("reason", AMQPValue::LongString(reason.into())),
            ("time", AMQPValue::Timestamp(seconds)),
        ] {
            death.insert(name.into(), value);
        }
        let mut deaths = vec![AMQPValue::FieldTable(death)];
        let mut headers = self.properties.headers().clone().unwrap_or_default();
        if let Some(AMQPValue::FieldArray(earlier)) = headers.inner().get(DEATHS) {
            deaths.extend(earlier.as_slice().iter().cloned());
        }
        headers.insert(DEATHS.into(), AMQPValue::FieldArray(deaths.into()));
        self.properties = self.properties.with_headers(headers);
        self
    }
}

impl From<Outgoing> for Stored {
    fn from(outgoing: Outgoing) -> Self {
        Self {
            properties: outgoing.properties,
            payload: outgoing.payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::DeadLetter;
    use wahook_domain::{AttemptNumber, CanonicalBody, EndpointName, EventId, EventName};

    fn event() -> QueuedEvent {
        let body = br#"{"event":"call","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
        QueuedEvent {
            id: EventId::parse("evt-1").unwrap(),
            name: EventName::parse("call").unwrap(),
            body: CanonicalBody::check(Bytes::from_static(body)).unwrap(),
            attempt: AttemptNumber::new(3).unwrap(),
            accepted_at: UnixMillis::new(1_727_784_000_123),
            redriven_at: Some(UnixMillis::new(1_727_784_000_999)),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        }
    }

    #[test]
    fn a_stored_message_is_read_back_unchanged() {
        let stored = Stored::from(Outgoing::event(&event()));
        let text = stored.properties().unwrap();
        let read = Stored::read(&text, stored.payload.clone()).unwrap();
        assert_eq!(read, stored);
        assert_eq!((read.id(), read.event()), (Some("evt-1"), Some("call")));
        let decoded = message::decode(&read.properties, read.payload).unwrap();
        assert_eq!(decoded, event());
        assert!(Stored::read("{", Bytes::new()).is_err());
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
        let expiration = waits.properties.expiration().as_ref();
        assert_eq!(expiration.map(ShortString::as_str), Some("7001"));
        assert_eq!(Stored::from(waits).content().unwrap(), event());
    }

    #[test]
    fn a_dead_letter_has_its_queue_time_and_reason_and_is_otherwise_unchanged() {
        let stored = Stored::from(Outgoing::event(&event()));
        let now = UnixMillis::new(1_727_784_001_000);
        let died = stored.died("wahook.deliver.crm", DeathReason::DeliveryLimit, now);
        let dead_letter = DeadLetter::read(&died.properties, died.payload);
        assert_eq!(dead_letter.content.unwrap(), event());
        assert_eq!(dead_letter.endpoint, EndpointName::parse("crm").ok());
        assert_eq!(dead_letter.died_at, Some(now));
        assert!(dead_letter.moved_by_broker);
        assert!(
            dead_letter.reason.contains("too often"),
            "{}",
            dead_letter.reason
        );
    }
}
