//! Metrics of the process.

use prometheus::{IntGaugeVec, Registry, Result, process_collector::ProcessCollector};

use crate::families;

families! {
    /// Families of every program.
    ProcessFamilies {
        /// Always 1; the labels are the program and its version.
        build_info: IntGaugeVec = "wahook_build_info" ["program", "version"];
    }
}

/// Figures of the process (CPU, memory, open files; read for every scrape) and its
/// build.
#[derive(Debug, Clone)]
pub struct ProcessMetrics(());

impl ProcessMetrics {
    /// Registers the families for `program`.
    ///
    /// # Errors
    /// When the registry holds them already.
    pub fn new(registry: &Registry, program: &str) -> Result<Self> {
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let families = ProcessFamilies::register(registry)?;
        families
            .build_info
            .with_label_values(&[program, env!("CARGO_PKG_VERSION")])
            .set(1);
        Ok(Self(()))
    }
}
