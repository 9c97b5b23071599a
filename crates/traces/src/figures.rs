//! Figures of the export.

use prometheus::{IntCounter, IntCounterVec, Registry, Result};
use wahook_runtime::families;

families! {
    /// Families of the export of traces.
    TraceFamilies {
        /// Spans that the collector has received.
        exported: IntCounter = "wahook_traces_spans_exported_total";
        /// Spans that were not exported, by reason: too many waited for their export
        /// (queue_full), or the collector did not take them (export_failed).
        dropped: IntCounterVec = "wahook_traces_spans_dropped_total" ["reason"];
    }
}

/// Figures of the export, the same in each registry that has them.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) exported: IntCounter,
    pub(crate) queue_full: IntCounter,
    pub(crate) export_failed: IntCounter,
    dropped: IntCounterVec,
}

impl Figures {
    pub(crate) fn new() -> Result<Self> {
        let families = TraceFamilies::register(&Registry::new())?;
        let TraceFamilies { exported, dropped } = families;
        Ok(Self {
            exported,
            queue_full: dropped.with_label_values(&["queue_full"]),
            export_failed: dropped.with_label_values(&["export_failed"]),
            dropped,
        })
    }

    /// Adds the figures to those of a part of the program.
    pub(crate) fn register(&self, registry: &Registry) -> Result<()> {
        registry.register(Box::new(self.exported.clone()))?;
        registry.register(Box::new(self.dropped.clone()))
    }
}
