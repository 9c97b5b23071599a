//! Traces of the process, from its start to its end.

use anyhow::Context;
use opentelemetry::{InstrumentationScope, KeyValue, trace::TracerProvider};
use opentelemetry_sdk::{Resource, resource::TelemetryResourceDetector, trace::SdkTracerProvider};
use prometheus::Registry;
use std::{sync::OnceLock, time::Duration};
use tokio::{runtime::Handle, task::spawn_blocking};
use wahook_runtime::{Shutdown, settings::redact_url};

use crate::{
    bounded::{Bounded, Waiting},
    exporter::Exporter,
    figures::Figures,
    settings::{ExportSettings, TraceSettings},
    tracer::{MessagingSystem, Tracer},
};

/// Time limit for the export of the last spans.
const STOP_LIMIT: Duration = Duration::from_secs(2);
const VERSION: &str = env!("CARGO_PKG_VERSION");

static RUNNING: OnceLock<Running> = OnceLock::new();

#[derive(Debug)]
struct Running {
    tracer: Tracer,
    figures: Figures,
}

/// Returns the tracer of the process; `None` if traces are off.
#[inline]
#[must_use]
pub fn tracer() -> Option<&'static Tracer> {
    RUNNING.get().map(|running| &running.tracer)
}

/// Adds the figures of traces to those of a part of the program, if traces are on.
///
/// # Errors
/// When the registry holds them already.
pub fn register(registry: &Registry) -> prometheus::Result<()> {
    match RUNNING.get() {
        Some(running) => running.figures.register(registry),
        None => Ok(()),
    }
}

/// Traces of a program that runs; nothing if they are off.
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Starts the traces of the process, once. `program` is the name of the service, unless
    /// the settings have another one.
    ///
    /// # Errors
    /// When the exporter cannot be created, or a process starts them twice.
    pub fn start(
        settings: TraceSettings,
        program: &'static str,
        system: MessagingSystem,
    ) -> anyhow::Result<Self> {
        let Some(settings) = settings.export else {
            return Ok(Self(None));
        };
        let (figures, waiting) = (Figures::new().context("metrics")?, Waiting::default());
        let exporter = Exporter::new(
            &settings,
            waiting.clone(),
            figures.clone(),
            Handle::current(),
        )?;
        let bounded = Bounded::new(exporter, waiting, figures.queue_full.clone());
        let url = redact_url(settings.url.as_str());
        let resource = resource(&settings, program);
        let provider = SdkTracerProvider::builder()
            .with_sampler(settings.sampler)
            .with_resource(resource)
            .with_span_processor(bounded)
            .build();
        let scope = InstrumentationScope::builder("wahook").with_version(VERSION);
        let tracer = Tracer::new(provider.tracer_with_scope(scope.build()), system);
        let running = Running { tracer, figures };
        RUNNING
            .set(running)
            .map_err(|_| anyhow::anyhow!("traces are started twice"))?;
        tracing::info!(%url, "traces are on");
        Ok(Self(Some(provider)))
    }

    /// Exports the last spans, unless the program must end at once.
    pub async fn stop(self, shutdown: &Shutdown) {
        let Some(provider) = self.0 else {
            return;
        };
        // The thread of the exporter needs this runtime meanwhile.
        let stopping = spawn_blocking(move || provider.shutdown_with_timeout(STOP_LIMIT));
        tokio::select! {
            _ = stopping => {}
            () = shutdown.hard() => {}
        }
    }
}

/// Returns the attributes of the program.
fn resource(settings: &ExportSettings, program: &'static str) -> Resource {
    let service = settings.service.clone();
    let service = service.unwrap_or_else(|| program.to_owned());
    let attributes = settings.attributes.iter().cloned();
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attribute(KeyValue::new("service.version", VERSION))
        .with_attributes(attributes.map(|(name, value)| KeyValue::new(name, value)))
        .with_attribute(KeyValue::new("service.name", service))
        .build()
}
