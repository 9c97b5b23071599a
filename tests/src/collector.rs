//! Collector of traces: receives them with the OpenTelemetry protocol, as protobuf over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1;
use prost::Message;

use crate::eventually::eventually;
use crate::or_fail;
use crate::receiver::Receiver;

pub const SERVER: i32 = v1::span::SpanKind::Server as i32;
pub const CLIENT: i32 = v1::span::SpanKind::Client as i32;
pub const PRODUCER: i32 = v1::span::SpanKind::Producer as i32;
pub const CONSUMER: i32 = v1::span::SpanKind::Consumer as i32;

/// Running collector, which takes everything.
#[derive(Debug)]
pub struct Collector(Receiver);

/// Received span. Ids are hexadecimal, values of attributes are texts.
#[derive(Debug, Clone)]
pub struct Span {
    /// Name of the service.
    pub service: String,
    pub name: String,
    pub kind: i32,
    pub trace: String,
    pub id: String,
    /// Empty for the first span of a trace.
    pub parent: String,
    /// Traces and spans that it is linked to.
    pub links: Vec<(String, String)>,
    pub attributes: BTreeMap<String, String>,
    pub is_error: bool,
}

impl Span {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

impl Collector {
    pub async fn start() -> Self {
        Self(Receiver::start().await)
    }

    /// Returns the settings that turn traces on.
    pub fn settings(&self) -> [(&'static str, String); 2] {
        settings(&format!("http://{}", self.0.address()))
    }

    /// Returns the number of requests so far.
    pub fn requests(&self) -> usize {
        self.0.count()
    }

    /// Returns true if every request so far has the header.
    pub fn all_have(&self, name: &str, value: &str) -> bool {
        let mut posts = self.0.posts().into_iter();
        posts.all(|post| post.header(name) == Some(value))
    }

    /// Returns all spans so far.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for post in self.0.posts() {
            assert_eq!(post.path, "/v1/traces");
            assert_eq!(post.header("content-type"), Some("application/x-protobuf"));
            let request = ExportTraceServiceRequest::decode(post.body.clone());
            let request = or_fail("the spans", request.map_err(Into::into));
            for of_service in request.resource_spans {
                let resource = of_service.resource.unwrap_or_default();
                let service = texts(resource.attributes).remove("service.name");
                let service = service.unwrap_or_default();
                let scopes = of_service.scope_spans.into_iter();
                let received = scopes.flat_map(|scope| scope.spans);
                spans.extend(received.map(|span| read(span, service.clone())));
            }
        }
        spans
    }

    /// Returns all spans as soon as there are this many.
    pub async fn wait_for(&self, count: usize, deadline: Duration) -> Vec<Span> {
        eventually(deadline, "the spans", || async {
            Some(self.spans()).filter(|spans| spans.len() >= count)
        })
        .await
    }
}

/// Returns the settings that send traces to an address, soon.
pub fn settings(address: &str) -> [(&'static str, String); 2] {
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", address.to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
    ]
}

fn read(span: v1::Span, service: String) -> Span {
    let links = span.links.into_iter();
    let is_error = |status: v1::Status| status.code() == v1::status::StatusCode::Error;
    Span {
        service,
        name: span.name,
        kind: span.kind,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: links
            .map(|link| (hex(&link.trace_id), hex(&link.span_id)))
            .collect(),
        attributes: texts(span.attributes),
        is_error: span.status.is_some_and(is_error),
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let pairs = attributes.into_iter().map(|attribute| {
        let text = match attribute.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        (attribute.key, text)
    });
    pairs.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
