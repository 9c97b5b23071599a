//! Headers of a message: those of an event, and values by their types.

use lapin::{BasicProperties, types::AMQPValue};
use wahook_domain::UnixMillis;

use crate::message::header;

/// Headers that an event can have, found in one pass: one look-up per header in the table would cost
/// the consumer 2,000 instructions for each event.
#[derive(Default)]
pub(super) struct EventHeaders<'a> {
    pub(super) version: Option<&'a AMQPValue>,
    pub(super) attempt: Option<&'a AMQPValue>,
    pub(super) first_published: Option<&'a AMQPValue>,
    pub(super) redriven: Option<&'a AMQPValue>,
    pub(super) redelivery: Option<&'a AMQPValue>,
    pub(super) exact: Option<&'a AMQPValue>,
    pub(super) auto_redrives: Option<&'a AMQPValue>,
    pub(super) traceparent: Option<&'a AMQPValue>,
    pub(super) tracestate: Option<&'a AMQPValue>,
    pub(super) baggage: Option<&'a AMQPValue>,
    pub(super) origin: Option<&'a AMQPValue>,
    pub(super) key: Option<&'a AMQPValue>,
}

impl<'a> EventHeaders<'a> {
    pub(super) fn of(properties: &'a BasicProperties) -> Self {
        let mut found = Self::default();
        for (name, value) in properties.headers().iter().flatten() {
            let place = match name.as_str() {
                header::VERSION => &mut found.version,
                header::ATTEMPT => &mut found.attempt,
                header::FIRST_PUBLISHED => &mut found.first_published,
                header::REDRIVEN => &mut found.redriven,
                header::REDELIVERY => &mut found.redelivery,
                header::EXACT => &mut found.exact,
                header::AUTO_REDRIVES => &mut found.auto_redrives,
                header::TRACEPARENT => &mut found.traceparent,
                header::TRACESTATE => &mut found.tracestate,
                header::BAGGAGE => &mut found.baggage,
                header::ORIGIN => &mut found.origin,
                header::KEY => &mut found.key,
                _ => continue,
            };
            *place = Some(value);
        }
        found
    }
}

/// Returns the value of a header.
pub(crate) fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

pub(super) fn mark(value: &AMQPValue) -> Option<bool> {
    match value {
        AMQPValue::Boolean(mark) => Some(*mark),
        _ => None,
    }
}

pub(super) fn text(value: &AMQPValue) -> Option<&str> {
    match value {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        _ => None,
    }
}

pub(super) fn time(value: &AMQPValue) -> Option<UnixMillis> {
    number(value).map(UnixMillis::new)
}

/// Reads an integer of any width: other clients choose other types.
pub(super) fn number(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::LongLongInt(n) => Some(*n),
        AMQPValue::LongInt(n) => Some((*n).into()),
        AMQPValue::LongUInt(n) => Some((*n).into()),
        AMQPValue::ShortInt(n) => Some((*n).into()),
        AMQPValue::ShortUInt(n) => Some((*n).into()),
        AMQPValue::ShortShortInt(n) => Some((*n).into()),
        AMQPValue::ShortShortUInt(n) => Some((*n).into()),
        _ => None,
    }
}
