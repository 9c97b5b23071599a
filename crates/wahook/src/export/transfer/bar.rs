//! Progress bar of an export, on terminals only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Progress bar over all messages and records of the file.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(all: u64) -> Self {
        // Draws nothing if standard error is not a terminal.
        let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr());
        let template = "{bar:30} {percent:>3} % {pos} of {len} {msg}, {eta} left";
        // The template is valid; an invalid one would leave the default bar.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// Sets the kind of items that the bar shows.
    pub(super) fn at(&self, what: &'static str) {
        self.0.set_message(what);
    }

    pub(super) fn advance(&self, by: usize) {
        self.0.inc(u64::try_from(by).unwrap_or_default());
    }

    /// Clears the bar.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
