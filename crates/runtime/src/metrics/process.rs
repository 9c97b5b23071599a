//! What any program says of itself.

use prometheus::{Registry, Result, process_collector::ProcessCollector};

use super::families::ProcessFamilies;

/// The process's own figures (CPU, memory, open files; read afresh for every
/// scrape) and which build it is.
#[derive(Debug, Clone)]
pub struct ProcessMetrics(());

impl ProcessMetrics {
    /// Registers them for `program`.
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
