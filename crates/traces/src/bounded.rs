//! Bound of the spans that wait for their export.

use opentelemetry::Context;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor},
};
use prometheus::IntCounter;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Maximum number of spans that wait for their export. A delivery has four.
const MOST_SPANS: usize = 8_192;

/// Number of spans that wait for their export.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// Adds a span, unless too many wait.
    fn admit(&self) -> bool {
        let is_admitted = self.0.fetch_add(1, Ordering::Relaxed) < MOST_SPANS;
        if !is_admitted {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
        is_admitted
    }

    /// Removes spans that are about to be exported.
    pub(crate) fn taken(&self, spans: usize) {
        self.0.fetch_sub(spans, Ordering::Relaxed);
    }
}

/// Exports spans in batches on a thread of its own, and drops those beyond the bound: a span
/// never waits. The SDK drops them too, but does not count them.
#[derive(Debug)]
pub(crate) struct Bounded {
    batches: BatchSpanProcessor,
    waiting: Waiting,
    dropped: IntCounter,
}

impl Bounded {
    pub(crate) fn new(
        exporter: impl SpanExporter + 'static,
        waiting: Waiting,
        dropped: IntCounter,
    ) -> Self {
        let batches = BatchConfigBuilder::default().with_max_queue_size(MOST_SPANS);
        Self {
            batches: BatchSpanProcessor::new(exporter, batches.build()),
            waiting,
            dropped,
        }
    }
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.waiting.admit() {
            self.batches.on_end(span);
        } else {
            self.dropped.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_beyond_the_bound_are_refused_until_others_are_exported() {
        let waiting = Waiting::default();
        assert!((0..MOST_SPANS).all(|_| waiting.admit()));
        assert!(!waiting.admit() && !waiting.admit());
        waiting.taken(1);
        assert!(waiting.admit() && !waiting.admit());
    }
}
