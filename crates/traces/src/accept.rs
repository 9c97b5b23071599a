//! Spans of an event that comes in: its request, and its publish.

use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanKind, Status},
};
use opentelemetry_sdk::trace::Span;
use wahook_domain::QueuedEvent;

use crate::{
    context,
    tracer::{Start, Tracer, name_of, time},
};

/// First status code that is an error of the server.
const SERVER_ERROR: u16 = 500;

/// Span of an accepted event, or of a refused one. It ends when it is dropped, at the latest.
#[derive(Debug)]
pub struct Accepting(Span);

/// Span of a publish, and the event with this span as its trace.
#[derive(Debug)]
pub struct Publishing {
    span: Span,
    event: QueuedEvent,
}

/// Address of a publish.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub exchange: &'a str,
    pub routing_key: &'a str,
}

impl Tracer {
    /// Begins the span of an event, below that of its sender, and makes it the event's trace.
    pub fn accept(&self, event: &mut QueuedEvent) -> Accepting {
        let route = match &event.origin {
            Some(_) => "/v1/in/{source}",
            None => "/v1/events",
        };
        let parent = context::of(event).map(context::without_attempt);
        let start = Start {
            name: format!("POST {route}"),
            kind: SpanKind::Server,
            at: Some(time(event.accepted_at)),
            attributes: vec![
                KeyValue::new("http.request.method", "POST"),
                KeyValue::new("http.route", route),
                KeyValue::new("messaging.message.id", event.id.as_str().to_owned()),
                name_of(event),
            ],
            link: None,
        };
        let span = self.start(start, &context::below(parent));
        context::put(event, span.span_context());
        Accepting(span)
    }

    /// Begins the span of a publish.
    #[must_use]
    pub fn publish(&self, event: &QueuedEvent, to: Target<'_>) -> Publishing {
        let mut attributes = self.message(event, ("send", "publish"), to.exchange);
        let key = to.routing_key.to_owned();
        attributes.push(KeyValue::new(
            "messaging.rabbitmq.destination.routing_key",
            key,
        ));
        let start = Start {
            name: format!("publish {}", to.exchange),
            kind: SpanKind::Producer,
            at: None,
            attributes,
            link: None,
        };
        let span = self.start(start, &context::below(context::of(event)));
        let mut event = event.clone();
        context::put(&mut event, span.span_context());
        Publishing { span, event }
    }
}

impl Accepting {
    /// Ends the span with the status of the answer.
    pub fn answered(mut self, status: u16) {
        let code = KeyValue::new("http.response.status_code", i64::from(status));
        self.0.set_attribute(code);
        if status >= SERVER_ERROR {
            self.0
                .set_attribute(KeyValue::new("error.type", status.to_string()));
            self.0.set_status(Status::error("not accepted"));
        }
        self.0.end();
    }
}

impl Publishing {
    /// Returns the event to publish.
    #[must_use]
    pub fn event(&self) -> &QueuedEvent {
        &self.event
    }

    /// Ends the span with what became of the event, or the error.
    pub fn ended(mut self, result: Result<&'static str, String>) {
        match result {
            Ok(outcome) => self
                .span
                .set_attribute(KeyValue::new("wahook.outcome", outcome)),
            Err(error) => {
                self.span
                    .set_attribute(KeyValue::new("error.type", "not_confirmed"));
                self.span.set_status(Status::error(error));
            }
        }
        self.span.end();
    }
}
