//! How an export shows that it goes on: on a terminal only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is done, of all that is in the file.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(all: u64) -> Self {
        // It draws nothing where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(Some(all), ProgressDrawTarget::stderr());
        let template = "{bar:30} {percent:>3} % {pos} of {len} {msg}, {eta} left";
        // The template is ours and right; a wrong one would leave the plain bar.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// What is worked on.
    pub(super) fn at(&self, what: &'static str) {
        self.0.set_message(what);
    }

    pub(super) fn advance(&self, by: usize) {
        self.0.inc(u64::try_from(by).unwrap_or_default());
    }

    /// It goes before the last words come.
    pub(super) fn end(&self) {
        self.0.finish_and_clear();
    }
}
