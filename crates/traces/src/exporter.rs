//! Export to the collector.

use anyhow::Context;
use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::redirect::Policy;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

use crate::{bounded::Waiting, figures::Figures, settings::ExportSettings};

/// Time limit of a request to the collector.
const LIMIT: Duration = Duration::from_secs(10);
/// Least time between two warnings about the collector.
const WARNED_EVERY: Duration = Duration::from_secs(600);

/// HTTP client for the thread of the exporter, which is outside of the runtime.
#[derive(Debug)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sending = async move { client.send_bytes(request).await };
        self.runtime.spawn(sending).await?
    }
}

/// Exporter that counts spans, and warns of those that the collector did not take.
#[derive(Debug)]
pub(crate) struct Exporter {
    otlp: opentelemetry_otlp::SpanExporter,
    waiting: Waiting,
    figures: Figures,
    failures: Mutex<Failures>,
}

/// Failed exports since the last warning.
#[derive(Debug, Default)]
struct Failures {
    warned: Option<Instant>,
    spans: usize,
}

impl Failures {
    /// Notes a failed export. Returns the number of spans to warn of, if it is time to.
    fn note(&mut self, spans: usize, now: Instant) -> Option<usize> {
        self.spans += spans;
        let is_recent = |warned: Instant| now.duration_since(warned) < WARNED_EVERY;
        if self.warned.is_some_and(is_recent) {
            return None;
        }
        self.warned = Some(now);
        Some(std::mem::take(&mut self.spans))
    }
}

impl Exporter {
    /// Creates an exporter that sends its requests on this runtime.
    pub(crate) fn new(
        settings: &ExportSettings,
        waiting: Waiting,
        figures: Figures,
        runtime: Handle,
    ) -> anyhow::Result<Self> {
        let mut client = reqwest::Client::builder()
            .timeout(LIMIT)
            // A redirect would send the headers to another server.
            .redirect(Policy::none());
        if settings.url.scheme() == "http" {
            // Systems without certificates can export too.
            client = client.tls_certs_only([]);
        }
        let client = client.build().context("can't create an HTTP client")?;
        // The builder decodes them.
        let headers = settings.headers.iter().map(|(name, value)| {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            (name.clone(), value.to_string())
        });
        let otlp = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(OnRuntime { client, runtime })
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(settings.url.as_str())
            .with_headers(headers.collect())
            .build()
            .context("can't create the exporter of traces")?;
        Ok(Self {
            otlp,
            waiting,
            figures,
            failures: Mutex::default(),
        })
    }

    fn failed(&self, spans: usize, error: &dyn std::fmt::Display) {
        self.figures.export_failed.inc_by(spans as u64);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lost) = failures.note(spans, Instant::now()) {
            tracing::warn!(%error, lost, "traces not exported: check OTEL_EXPORTER_OTLP_ENDPOINT and the collector; deliveries go on");
        }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.taken(spans);
        let exported = self.otlp.export(batch).await;
        match &exported {
            Ok(()) => self.figures.exported.inc_by(spans as u64),
            Err(error) => self.failed(spans, error),
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.otlp.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_exports_are_warned_of_at_once_and_then_rarely_with_their_sum() {
        let (start, mut failures) = (Instant::now(), Failures::default());
        assert_eq!(failures.note(3, start), Some(3));
        assert_eq!(failures.note(4, start + Duration::from_secs(1)), None);
        assert_eq!(failures.note(5, start + WARNED_EVERY), Some(9));
    }
}
