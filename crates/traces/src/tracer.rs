//! Tracer of the process, and what all of its spans share.

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanContext, SpanKind, Tracer as _},
};
use opentelemetry_sdk::trace::{SdkTracer, Span};
use std::time::{Duration, SystemTime};
use wahook_domain::{QueuedEvent, UnixMillis};

/// System that carries the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessagingSystem {
    RabbitMq,
    /// The data file of the one process.
    Embedded,
}

impl MessagingSystem {
    const fn name(self) -> &'static str {
        match self {
            Self::RabbitMq => "rabbitmq",
            Self::Embedded => "wahook",
        }
    }
}

/// Source of the spans, while traces are on.
#[derive(Debug)]
pub struct Tracer {
    sdk: SdkTracer,
    system: MessagingSystem,
}

/// Start of a span.
pub(crate) struct Start {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    /// Time before now, if it began earlier.
    pub(crate) at: Option<SystemTime>,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) link: Option<SpanContext>,
}

impl Tracer {
    pub(crate) fn new(sdk: SdkTracer, system: MessagingSystem) -> Self {
        Self { sdk, system }
    }

    pub(crate) fn start(&self, start: Start, below: &Context) -> Span {
        let mut builder = self
            .sdk
            .span_builder(start.name)
            .with_kind(start.kind)
            .with_attributes(start.attributes);
        if let Some(at) = start.at {
            builder = builder.with_start_time(at);
        }
        if let Some(link) = start.link {
            builder = builder.with_links(vec![Link::with_context(link)]);
        }
        builder.start_with_context(&self.sdk, below)
    }

    /// Returns the attributes of a message, by the conventions for messaging.
    pub(crate) fn message(
        &self,
        event: &QueuedEvent,
        (kind, name): (&'static str, &'static str),
        destination: &str,
    ) -> Vec<KeyValue> {
        let size = i64::try_from(event.carried_body().len()).unwrap_or(i64::MAX);
        vec![
            KeyValue::new("messaging.system", self.system.name()),
            KeyValue::new("messaging.operation.type", kind),
            KeyValue::new("messaging.operation.name", name),
            KeyValue::new("messaging.destination.name", destination.to_owned()),
            KeyValue::new("messaging.message.id", event.id.as_str().to_owned()),
            KeyValue::new("messaging.message.body.size", size),
            name_of(event),
        ]
    }
}

/// Returns the attribute with the name of an event.
pub(crate) fn name_of(event: &QueuedEvent) -> KeyValue {
    KeyValue::new("wahook.event", event.name.as_str().to_owned())
}

pub(crate) fn time(at: UnixMillis) -> SystemTime {
    let millis = u64::try_from(at.get()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}
