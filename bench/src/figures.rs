//! Figures of one run.

use std::collections::BTreeMap;
use std::time::Duration;

/// Label of the process that is producer, consumer and store.
pub(crate) const ONE_PROCESS: &str = "single process";

/// Figures of one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    /// Events per second over the whole run.
    pub(crate) per_second: f64,
    /// CPU time per event in microseconds, by process.
    pub(crate) cpu: BTreeMap<&'static str, f64>,
    /// Peak resident memory in MiB, by program.
    pub(crate) peak_memory: BTreeMap<&'static str, f64>,
    /// Time from sending an event to its arrival: p50, p99, p99.9.
    pub(crate) latency: Option<[Duration; 3]>,
    /// Times of the console's searches: p50 and p99, by search.
    pub(crate) searches: Vec<(&'static str, [Duration; 2])>,
}
