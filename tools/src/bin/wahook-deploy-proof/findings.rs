//! Results of the checks of panels and annotations.

use serde_json::Value;

/// What was found about the dashboards.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) lines: Vec<[String; 4]>,
    pub(crate) faults: Vec<String>,
    /// Data for the picture: each panel with its series over the whole scenario.
    pub(crate) pictures: Vec<Value>,
    pub(crate) asked: usize,
}
