//! Spans of a delivery: the processing of a message, and the attempt in it.

use opentelemetry::{
    KeyValue,
    trace::{Span as _, SpanContext, SpanKind, Status},
};
use opentelemetry_sdk::trace::Span;
use url::Url;
use wahook_domain::{EndpointName, Outcome, QueuedEvent};

use crate::{
    context,
    tracer::{Start, Tracer},
};

/// Endpoint of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Webhook<'a> {
    pub endpoint: &'a EndpointName,
    /// Queue of the message.
    pub queue: &'a str,
    pub url: &'a Url,
    /// URL without secrets.
    pub shown_url: &'a str,
}

/// Spans of a message and of the attempt to deliver it. They end when they are dropped, at the
/// latest.
#[derive(Debug)]
pub struct Processing {
    process: Span,
    attempt: Span,
    /// Event with the attempt as its trace.
    sent: QueuedEvent,
}

impl Tracer {
    /// Begins the spans of an attempt, below the publish of the event, and notes the attempt in
    /// the event, for the link of the next one.
    #[must_use]
    pub fn attempt(&self, event: &mut QueuedEvent, to: Webhook<'_>) -> Processing {
        let parent = context::of(event);
        let last = parent.as_ref().and_then(context::last_attempt);
        let process = self.process(event, to, parent);
        let of_process = process.span_context().clone();
        if event.traceparent.is_none() {
            // So that the retries of an event without a trace are in one.
            context::put(event, &of_process);
        }
        let start = Start {
            name: "POST".to_owned(),
            kind: SpanKind::Client,
            at: None,
            attributes: request(event, to),
            link: last,
        };
        let attempt = self.start(start, &context::below(Some(of_process)));
        let mut sent = event.clone();
        context::put(&mut sent, attempt.span_context());
        context::put_attempt(&mut sent, attempt.span_context());
        event.propagated.clone_from(&sent.propagated);
        Processing {
            process,
            attempt,
            sent,
        }
    }

    fn process(&self, event: &QueuedEvent, to: Webhook<'_>, parent: Option<SpanContext>) -> Span {
        let mut attributes = self.message(event, ("process", "process"), to.queue);
        attributes.push(KeyValue::new(
            "wahook.endpoint",
            to.endpoint.as_str().to_owned(),
        ));
        let start = Start {
            name: format!("process {}", to.queue),
            kind: SpanKind::Consumer,
            at: None,
            attributes,
            link: None,
        };
        self.start(start, &context::below(parent))
    }
}

/// Returns the attributes of a request, by the conventions for HTTP clients.
fn request(event: &QueuedEvent, to: Webhook<'_>) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("http.request.method", "POST"),
        KeyValue::new("url.full", to.shown_url.to_owned()),
        KeyValue::new("wahook.endpoint", to.endpoint.as_str().to_owned()),
        KeyValue::new("wahook.attempt", i64::from(event.attempt.get())),
    ];
    if let Some(host) = to.url.host_str() {
        attributes.push(KeyValue::new("server.address", host.to_owned()));
    }
    if let Some(port) = to.url.port_or_known_default() {
        attributes.push(KeyValue::new("server.port", i64::from(port)));
    }
    let retries = event.attempt.retries();
    if retries > 0 {
        attributes.push(KeyValue::new(
            "http.request.resend_count",
            i64::from(retries),
        ));
    }
    attributes
}

impl Processing {
    /// Returns the event to send.
    #[must_use]
    pub fn sent(&self) -> &QueuedEvent {
        &self.sent
    }

    /// Ends the span of the attempt with its outcome.
    pub fn answered(&mut self, outcome: &Outcome) {
        let status = outcome.status_code();
        if let Some(status) = status {
            let code = KeyValue::new("http.response.status_code", i64::from(status));
            self.attempt.set_attribute(code);
        }
        if let Some(message) = outcome.error_message() {
            let kind = status.map_or_else(|| outcome.label().to_owned(), |code| code.to_string());
            self.attempt
                .set_attribute(KeyValue::new("error.type", kind));
            self.attempt.set_status(Status::error(message));
        }
        self.attempt.end();
    }

    /// Ends the span of the message with what follows.
    pub fn concluded(mut self, outcome: &'static str) {
        self.process
            .set_attribute(KeyValue::new("wahook.outcome", outcome));
        self.process.end();
    }
}
