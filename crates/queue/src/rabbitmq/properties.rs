//! Metadata of a message as AMQP properties, and back.

mod read;

use bytes::Bytes;
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};
use std::{sync::Arc, time::Duration};
use wahook_domain::{
    AttemptNumber, AttemptResult, EndpointName, EventId, EventName, OrderKey, Origin, Propagated,
    QueuedEvent, UnixMillis,
};

use crate::message::{DeadLetter, Death, MessageMetadata, Parked, Poison, WIRE_VERSION, header};

pub(crate) use read::header;
use read::{EventHeaders, mark, number, text, time};

const PERSISTENT: u8 = 2;

/// Returns the properties of a message; `expires_after` limits its wait in a
/// wait queue.
#[must_use]
pub fn encode(metadata: MessageMetadata, expires_after: Option<Duration>) -> BasicProperties {
    let mut properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(PERSISTENT);
    if let Some(id) = &metadata.id {
        properties = properties.with_message_id(id.as_str().into());
    }
    if let Some(event) = &metadata.event {
        properties = properties.with_type(event.as_str().into());
    }
    if let Some(accepted_at) = metadata.accepted_at {
        properties = properties.with_timestamp(seconds(accepted_at));
    }
    if let Some(left) = expires_after {
        properties = properties.with_expiration(left.as_millis().to_string().into());
    }
    properties.with_headers(headers(metadata))
}

fn headers(metadata: MessageMetadata) -> FieldTable {
    let mut headers = FieldTable::default();
    let mut add = |name: &str, value: Option<AMQPValue>| {
        if let Some(value) = value {
            headers.insert(name.into(), value);
        }
    };
    let time = |at: UnixMillis| AMQPValue::LongLongInt(at.get());
    let text = |text: String| AMQPValue::LongString(text.into());
    let attempt = metadata.attempt.map(|attempt| attempt.get().into());
    let endpoint = metadata.endpoint.as_ref().map(EndpointName::as_str);
    add(header::VERSION, Some(AMQPValue::LongLongInt(WIRE_VERSION)));
    add(header::ATTEMPT, attempt.map(AMQPValue::LongLongInt));
    add(header::FIRST_PUBLISHED, metadata.accepted_at.map(time));
    add(header::REDRIVEN, metadata.redriven_at.map(time));
    let redelivery = metadata.is_redelivery.then_some(AMQPValue::Boolean(true));
    add(header::REDELIVERY, redelivery);
    let exact = metadata.is_exact.then_some(AMQPValue::Boolean(true));
    add(header::EXACT, exact);
    let auto_redrives = i64::from(metadata.auto_redrives);
    let auto_redrives = (auto_redrives > 0).then_some(AMQPValue::LongLongInt(auto_redrives));
    add(header::AUTO_REDRIVES, auto_redrives);
    add(header::TRACEPARENT, metadata.traceparent.map(text));
    let propagated = metadata.propagated.as_deref();
    let context = |of: fn(&Propagated) -> &Option<String>| {
        propagated.and_then(|context| of(context).clone()).map(text)
    };
    add(header::TRACESTATE, context(|context| &context.tracestate));
    add(header::BAGGAGE, context(|context| &context.baggage));
    let origin = metadata.origin.as_deref().map(Origin::to_json);
    add(header::ORIGIN, origin.map(text));
    let key = metadata.key.as_ref().map(OrderKey::as_str);
    add(header::KEY, key.map(|key| text(key.to_owned())));
    add(header::ENDPOINT, endpoint.map(|name| text(name.to_owned())));
    add(header::REASON, metadata.reason.map(text));
    add(header::OUTAGE, metadata.is_outage.map(AMQPValue::Boolean));
    add(header::DEAD, metadata.dead_at.map(time));
    add(header::RESULT, metadata.result.map(text));
    let parked = metadata.parked.as_ref().map(Parked::to_text);
    add(header::PARKED, parked.map(text));
    add(header::DEATHS, metadata.death.map(deaths));
    headers
}

/// Returns the record of a move as RabbitMQ writes it.
fn deaths(death: Death) -> AMQPValue {
    let mut entry = FieldTable::default();
    let text = |text: String| AMQPValue::LongString(text.into());
    for (name, value) in [
        ("count", Some(AMQPValue::LongLongInt(1))),
        ("queue", death.queue.map(text)),
        ("reason", Some(text(death.reason))),
        ("time", death.at.map(seconds).map(AMQPValue::Timestamp)),
    ] {
        if let Some(value) = value {
            entry.insert(name.into(), value);
        }
    }
    AMQPValue::FieldArray(vec![AMQPValue::FieldTable(entry)].into())
}

fn seconds(at: UnixMillis) -> u64 {
    u64::try_from(at.seconds()).unwrap_or_default()
}

/// Decodes a message of a work queue.
///
/// # Errors
/// When wahook did not write the message, or its payload is not an event.
pub fn decode_event(properties: &BasicProperties, payload: Bytes) -> Result<QueuedEvent, Poison> {
    event_metadata(properties).decode_event(payload)
}

/// Decodes a message of `wahook.results`.
pub(crate) fn decode_result(
    properties: &BasicProperties,
    payload: Bytes,
) -> Result<AttemptResult, Poison> {
    let metadata = MessageMetadata {
        result: header_text(properties, header::RESULT),
        is_exact: header(properties, header::EXACT).and_then(mark) == Some(true),
        defect: check_version(header(properties, header::VERSION)).err(),
        ..MessageMetadata::default()
    };
    metadata.decode_result(payload)
}

/// Decodes a message of `wahook.dead`.
pub(crate) fn decode_dead_letter(properties: &BasicProperties, payload: Bytes) -> DeadLetter {
    let text = |value: &Option<ShortString>| value.as_ref().map(|text| text.as_str().to_owned());
    DeadLetter {
        // As in the message, even if they are invalid.
        id: text(properties.message_id()),
        event: text(properties.kind()),
        ..DeadLetter::new(decode(properties), payload)
    }
}

/// Returns the metadata of any message.
fn decode(properties: &BasicProperties) -> MessageMetadata {
    let endpoint = header_text(properties, header::ENDPOINT);
    MessageMetadata {
        endpoint: endpoint.and_then(|name| EndpointName::parse(&name).ok()),
        reason: header_text(properties, header::REASON),
        is_outage: header(properties, header::OUTAGE).and_then(mark),
        dead_at: header(properties, header::DEAD).and_then(time),
        death: last_death(properties),
        result: header_text(properties, header::RESULT),
        ..event_metadata(properties)
    }
}

/// Returns the part of the metadata that an event has.
fn event_metadata(properties: &BasicProperties) -> MessageMetadata {
    let (id, event) = (properties.message_id(), properties.kind());
    let found = EventHeaders::of(properties);
    let attempt = found.attempt.and_then(number);
    let attempt = attempt.and_then(|number| u32::try_from(number).ok());
    let redriven_at = found.redriven.and_then(time);
    let origin = found.origin.and_then(text);
    let origin = origin.and_then(Origin::from_json).map(Arc::new);
    // A malformed key is none: the order of an event is worth less than the event.
    let key = found.key.and_then(text);
    let key = key.and_then(|key| OrderKey::parse(key).ok());
    let malformed = [
        (found.redriven, redriven_at.is_none(), header::REDRIVEN),
        (found.origin, origin.is_none(), header::ORIGIN),
    ]
    .into_iter()
    .find_map(|(value, is_missing, name)| {
        (value.is_some() && is_missing).then_some(Poison::Missing(name))
    });
    let is_marked = |value: Option<&AMQPValue>| value.and_then(mark) == Some(true);
    let owned = |value: Option<&AMQPValue>| value.and_then(text).map(str::to_owned);
    let auto_redrives = found.auto_redrives.and_then(number);
    MessageMetadata {
        id: id.as_ref().and_then(|id| EventId::parse(id.as_str()).ok()),
        event: event
            .as_ref()
            .and_then(|name| EventName::parse(name.as_str()).ok()),
        attempt: attempt.and_then(AttemptNumber::new),
        accepted_at: found.first_published.and_then(time),
        redriven_at,
        is_exact: is_marked(found.exact),
        traceparent: owned(found.traceparent),
        propagated: Propagated::of(owned(found.tracestate), owned(found.baggage)),
        origin,
        key,
        is_redelivery: is_marked(found.redelivery),
        auto_redrives: auto_redrives.map_or(0, |count| u8::try_from(count).unwrap_or(u8::MAX)),
        defect: check_version(found.version).err().or(malformed),
        ..MessageMetadata::default()
    }
}

/// Returns the state of a message in a lane or a parking slot.
pub(crate) fn parked(properties: &BasicProperties) -> Option<Parked> {
    Parked::parse(text(header(properties, header::PARKED)?)?)
}

/// Returns the token of a marker; `None` for any other message.
pub(crate) fn marker(properties: &BasicProperties) -> Option<EventId> {
    // Events have a type, so they cost no look at the headers.
    if properties.kind().is_some() || parked(properties)? != Parked::Marker {
        return None;
    }
    EventId::parse(properties.message_id().as_ref()?.as_str()).ok()
}

fn check_version(version: Option<&AMQPValue>) -> Result<(), Poison> {
    match version.and_then(number) {
        Some(WIRE_VERSION) => Ok(()),
        Some(other) => Err(Poison::Version(other)),
        None => Err(Poison::Missing(header::VERSION)),
    }
}

/// Reads the broker's last move of a message (see [`header::DEATHS`]).
fn last_death(properties: &BasicProperties) -> Option<Death> {
    let AMQPValue::FieldArray(deaths) = header(properties, header::DEATHS)? else {
        return None;
    };
    let AMQPValue::FieldTable(latest) = deaths.as_slice().first()? else {
        return None;
    };
    let text = |name: &str| match latest.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    };
    let at = match latest.inner().get("time") {
        Some(AMQPValue::Timestamp(seconds)) => i64::try_from(*seconds).ok(),
        _ => None,
    };
    Some(Death {
        queue: text("queue"),
        reason: text("reason").unwrap_or_default(),
        at: at.map(|seconds| UnixMillis::new(seconds.saturating_mul(1_000))),
    })
}

fn header_text(properties: &BasicProperties, name: &str) -> Option<String> {
    header(properties, name).and_then(text).map(str::to_owned)
}

#[cfg(test)]
mod tests;
