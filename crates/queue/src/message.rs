//! AMQP form of an event: its properties, its exchange and routing key, and its
//! decoding.

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use wahook_domain::{
    AttemptNumber, CanonicalBody, EndpointName, EventId, EventName, QueuedEvent, UnixMillis,
    WaitStep,
};

use crate::{routing::routing_key, topology};

/// Version of the envelope; a message of another version is poison.
pub const WIRE_VERSION: i64 = 1;

pub(crate) const PERSISTENT: u8 = 2;
const VERSION: &str = "x-wahook-version";
const ATTEMPT: &str = "x-attempt";
const FIRST_PUBLISHED: &str = "x-first-published-ms";
const REDRIVEN: &str = "x-redriven-ms";
const TRACEPARENT: &str = "traceparent";
pub(crate) const ENDPOINT: &str = "x-endpoint";
pub(crate) const REASON: &str = "x-reason";
pub(crate) const DEAD: &str = "x-dead-ms";

/// Message to publish: persistent, and with an id, by construction.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) payload: Bytes,
    pub(crate) properties: BasicProperties,
    pub(crate) id: ShortString,
}

impl Outgoing {
    /// Returns the exchange and the routing key.
    #[must_use]
    pub fn address(&self) -> (&str, &str) {
        (&self.exchange, &self.routing_key)
    }

    /// Returns the AMQP properties.
    #[must_use]
    pub fn properties(&self) -> &BasicProperties {
        &self.properties
    }

    /// Returns the event's body.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Creates the message of a new event, for every endpoint that wants it.
    #[must_use]
    pub fn event(event: &QueuedEvent) -> Self {
        Self::new(
            topology::exchange_of(&event.name).into(),
            routing_key(&event.name),
            event,
            [],
        )
    }

    /// Creates a query that is confirmed if no endpoint wants the event; it
    /// does not contain the event. It is unroutable if an endpoint wants the
    /// event, or if no consumer has declared its endpoints' filters yet.
    #[must_use]
    pub fn unwanted_query(event: &QueuedEvent) -> Self {
        let id = ShortString::from(event.id.as_str());
        Self {
            exchange: topology::FILTERS_EXCHANGE.into(),
            routing_key: routing_key(&event.name),
            payload: Bytes::new(),
            properties: properties(version_header(), &id),
            id,
        }
    }

    /// Creates the message of the next attempt, delayed by `step`.
    #[must_use]
    pub fn retry(event: &QueuedEvent, endpoint: &EndpointName, step: WaitStep) -> Self {
        let next = QueuedEvent {
            attempt: event.attempt.next(),
            ..event.clone()
        };
        Self::new(
            topology::wait_queue(step),
            topology::work_queue(endpoint),
            &next,
            [],
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
        let notes = [
            (ENDPOINT, AMQPValue::LongString(endpoint.as_str().into())),
            (REASON, AMQPValue::LongString(reason.into())),
            (DEAD, AMQPValue::LongLongInt(now.get())),
        ];
        Self::new(String::new(), topology::DEAD_QUEUE.into(), event, notes)
    }

    /// Creates the message that returns a dead letter to its work queue, for a
    /// new round of attempts that begins `now`.
    #[must_use]
    pub fn redrive(event: &QueuedEvent, endpoint: &EndpointName, now: UnixMillis) -> Self {
        let redriven = QueuedEvent {
            attempt: AttemptNumber::FIRST,
            redriven_at: Some(now),
            ..event.clone()
        };
        Self::new(String::new(), topology::work_queue(endpoint), &redriven, [])
    }

    /// Creates the message that returns an event to its work queue for the same
    /// attempt, because its endpoint is unavailable.
    ///
    /// The event is republished rather than requeued: the broker counts the
    /// deliveries of a message and dead-letters it above a limit, and waiting
    /// for an endpoint must never count.
    #[must_use]
    pub fn republish(event: &QueuedEvent, endpoint: &EndpointName) -> Self {
        Self::new(String::new(), topology::work_queue(endpoint), event, [])
    }

    fn new<const N: usize>(
        exchange: String,
        routing_key: String,
        event: &QueuedEvent,
        notes: [(&'static str, AMQPValue); N],
    ) -> Self {
        let mut headers = version_header();
        headers.insert(
            ATTEMPT.into(),
            AMQPValue::LongLongInt(event.attempt.get().into()),
        );
        headers.insert(
            FIRST_PUBLISHED.into(),
            AMQPValue::LongLongInt(event.accepted_at.get()),
        );
        if let Some(redriven_at) = event.redriven_at {
            headers.insert(REDRIVEN.into(), AMQPValue::LongLongInt(redriven_at.get()));
        }
        if let Some(traceparent) = &event.traceparent {
            headers.insert(
                TRACEPARENT.into(),
                AMQPValue::LongString(traceparent.as_str().into()),
            );
        }
        for (name, value) in notes {
            headers.insert(name.into(), value);
        }
        let id = ShortString::from(event.id.as_str());
        let seconds = u64::try_from(event.accepted_at.seconds()).unwrap_or_default();
        let properties = properties(headers, &id)
            .with_type(event.name.as_str().into())
            .with_timestamp(seconds);
        Self {
            exchange,
            routing_key,
            payload: event.body.bytes(),
            properties,
            id,
        }
    }
}

/// Creates the headers that every message of wahook has.
pub(crate) fn version_header() -> FieldTable {
    let mut headers = FieldTable::default();
    headers.insert(VERSION.into(), AMQPValue::LongLongInt(WIRE_VERSION));
    headers
}

/// Creates the properties that every message of wahook has.
pub(crate) fn properties(headers: FieldTable, id: &ShortString) -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(id.clone())
        .with_headers(headers)
}

/// Reasons for which a message cannot be decoded. Such a message is
/// dead-lettered unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Poison {
    /// A required property or header is missing or has a wrong type.
    #[error("{0} is missing or malformed")]
    Missing(&'static str),
    /// The envelope has an unknown version.
    #[error("unknown envelope version {0} (this program reads {WIRE_VERSION})")]
    Version(i64),
    /// The payload is not a canonical event.
    #[error("the payload is not an event: {0}")]
    Payload(String),
}

/// Decodes a message of a work queue: the counterpart of [`Outgoing::event`].
///
/// # Errors
/// When wahook did not write the message, or its payload is not an event.
pub fn decode(properties: &BasicProperties, payload: Bytes) -> Result<QueuedEvent, Poison> {
    check_version(properties)?;
    let id = text(properties.message_id(), "message_id")?;
    let name = text(properties.kind(), "type")?;
    let attempt = u32::try_from(number(properties, ATTEMPT)?)
        .ok()
        .and_then(AttemptNumber::new)
        .ok_or(Poison::Missing(ATTEMPT))?;
    Ok(QueuedEvent {
        id: EventId::parse(id).map_err(|_| Poison::Missing("message_id"))?,
        name: EventName::parse(name).map_err(|_| Poison::Missing("type"))?,
        body: CanonicalBody::check(payload).map_err(|e| Poison::Payload(e.to_string()))?,
        attempt,
        accepted_at: UnixMillis::new(number(properties, FIRST_PUBLISHED)?),
        redriven_at: header(properties, REDRIVEN)
            .map(|_| number(properties, REDRIVEN))
            .transpose()?
            .map(UnixMillis::new),
        traceparent: header_text(properties, TRACEPARENT),
    })
}

pub(crate) fn check_version(properties: &BasicProperties) -> Result<(), Poison> {
    match number(properties, VERSION)? {
        WIRE_VERSION => Ok(()),
        other => Err(Poison::Version(other)),
    }
}

pub(crate) fn header_text(properties: &BasicProperties, name: &str) -> Option<String> {
    match header(properties, name)? {
        AMQPValue::LongString(text) => String::from_utf8(text.as_bytes().to_vec()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

pub(crate) fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

fn text<'a>(value: &'a Option<ShortString>, name: &'static str) -> Result<&'a str, Poison> {
    value
        .as_ref()
        .map(ShortString::as_str)
        .ok_or(Poison::Missing(name))
}

/// Reads an integer of any width: other clients choose other types.
pub(crate) fn number(properties: &BasicProperties, name: &'static str) -> Result<i64, Poison> {
    let value = match header(properties, name) {
        Some(AMQPValue::LongLongInt(n)) => Some(*n),
        Some(AMQPValue::LongInt(n)) => Some((*n).into()),
        Some(AMQPValue::LongUInt(n)) => Some((*n).into()),
        Some(AMQPValue::ShortInt(n)) => Some((*n).into()),
        Some(AMQPValue::ShortUInt(n)) => Some((*n).into()),
        Some(AMQPValue::ShortShortInt(n)) => Some((*n).into()),
        Some(AMQPValue::ShortShortUInt(n)) => Some((*n).into()),
        _ => None,
    };
    value.ok_or(Poison::Missing(name))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        decode(&outgoing.properties, outgoing.payload.clone()).unwrap()
    }

    fn with_header(name: &str, value: AMQPValue) -> BasicProperties {
        let outgoing = Outgoing::event(&event());
        let mut headers = outgoing.properties.headers().clone().unwrap();
        headers.insert(name.into(), value);
        outgoing.properties.with_headers(headers)
    }

    #[test]
    fn a_published_event_is_decoded_unchanged() {
        let outgoing = Outgoing::event(&event());
        assert_eq!(read_back(&outgoing), event());
        assert_eq!(outgoing.exchange, "wahook.known");
        assert_eq!(outgoing.routing_key, "message._.ack");
        assert_eq!(outgoing.properties.delivery_mode(), &Some(PERSISTENT));
    }

    #[test]
    fn a_retry_waits_its_step_and_returns_to_its_work_queue_as_the_next_attempt() {
        let step = wahook_domain::RetryRule::new(3, 5_000)
            .unwrap()
            .wait_steps()[0];
        let outgoing = Outgoing::retry(&event(), &EndpointName::default(), step);
        assert_eq!(outgoing.exchange, "wahook.wait.5000");
        assert_eq!(outgoing.routing_key, "wahook.deliver.default");
        let expected = QueuedEvent {
            attempt: AttemptNumber::FIRST.next(),
            ..event()
        };
        assert_eq!(read_back(&outgoing), expected);
    }

    #[test]
    fn a_dead_letter_has_the_event_its_endpoint_and_the_reason() {
        let now = UnixMillis::new(1_727_784_035_000);
        let (endpoint, reason) = (EndpointName::default(), "answered 500");
        let outgoing = Outgoing::dead_letter(&event(), &endpoint, reason, now);
        assert_eq!(read_back(&outgoing), event());
        assert_eq!(
            header_text(&outgoing.properties, ENDPOINT).as_deref(),
            Some("default")
        );
        assert_eq!(
            header_text(&outgoing.properties, REASON).as_deref(),
            Some("answered 500")
        );
        assert_eq!(number(&outgoing.properties, DEAD), Ok(now.get()));
    }

    #[test]
    fn a_redriven_event_begins_again_at_attempt_1_with_the_same_id() {
        let exhausted = QueuedEvent {
            attempt: AttemptNumber::new(4).unwrap(),
            ..event()
        };
        let now = UnixMillis::new(1_727_900_000_000);
        let outgoing = Outgoing::redrive(&exhausted, &EndpointName::default(), now);
        assert_eq!(
            (outgoing.exchange.as_str(), outgoing.routing_key.as_str()),
            ("", "wahook.deliver.default")
        );
        let decoded = read_back(&outgoing);
        assert_eq!(decoded.queued_at(), now);
        let expected = QueuedEvent {
            redriven_at: Some(now),
            ..event()
        };
        assert_eq!(decoded, expected);
    }

    #[test]
    fn an_incomplete_message_or_one_of_another_version_is_poison() {
        let payload = event().body.bytes();
        let of =
            |properties: &BasicProperties, payload: &Bytes| decode(properties, payload.clone());
        assert_eq!(
            of(&BasicProperties::default(), &payload),
            Err(Poison::Missing(VERSION))
        );
        let other = with_header(VERSION, AMQPValue::LongLongInt(2));
        assert_eq!(of(&other, &payload), Err(Poison::Version(2)));
        let zero = with_header(ATTEMPT, AMQPValue::LongLongInt(0));
        assert_eq!(of(&zero, &payload), Err(Poison::Missing(ATTEMPT)));
        let text = with_header(FIRST_PUBLISHED, AMQPValue::LongString("soon".into()));
        assert_eq!(of(&text, &payload), Err(Poison::Missing(FIRST_PUBLISHED)));
        let good = Outgoing::event(&event()).properties;
        let bytes = Bytes::from_static(&[0xff, 0x00, 0x7b]);
        assert!(matches!(of(&good, &bytes), Err(Poison::Payload(_))));
        let no_id = good.with_message_id("not an id".into());
        assert_eq!(of(&no_id, &payload), Err(Poison::Missing("message_id")));
    }
}
