//! Result of a scenario.

use std::fmt;

/// Result of a scenario, written as a row of a table.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) scenario: String,
    /// Figures of the run.
    pub(crate) figures: String,
    pub(crate) expected: &'static str,
    pub(crate) is_as_expected: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = if self.is_as_expected { "" } else { "NOT " };
        write!(
            f,
            "| {} | {} | {fault}as expected: {} |",
            self.scenario, self.figures, self.expected
        )
    }
}
