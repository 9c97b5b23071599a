//! Progress display of an import: a bar on a terminal, otherwise a line at intervals.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{IsTerminal, Write, stderr},
    time::Duration,
};
use tokio::time::Instant;

/// Interval between lines without a terminal.
const EVERY: Duration = Duration::from_secs(10);

pub(super) struct Progress {
    bar: Option<ProgressBar>,
    size: Option<u64>,
    /// Bytes read by earlier runs.
    read_before: u64,
    started: Instant,
    printed: Instant,
    lines: u64,
}

impl Progress {
    /// Creates the display; earlier runs have read `read` of `size` bytes.
    pub(super) fn new(read: u64, size: Option<u64>) -> Self {
        let now = Instant::now();
        Self {
            bar: stderr().is_terminal().then(|| bar(read, size)),
            size,
            read_before: read,
            started: now,
            printed: now,
            lines: 0,
        }
    }

    /// Adds finished lines. The file is read up to byte `read`.
    pub(super) fn advance(&mut self, lines: u64, read: u64, refused: u64) -> std::io::Result<()> {
        self.lines += lines;
        let text = status_text(self.lines, refused, self.started.elapsed());
        if let Some(bar) = &self.bar {
            bar.set_position(read);
            bar.set_message(text);
        } else if self.printed.elapsed() >= EVERY {
            self.printed = Instant::now();
            let now = read.saturating_sub(self.read_before);
            let left = self.size.map(|size| size.saturating_sub(read));
            let left = time_left(now, left, self.started.elapsed());
            writeln!(stderr(), "{text}{}", left.as_deref().unwrap_or(""))?;
        }
        Ok(())
    }
}

/// Removes the bar before the final messages.
impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(read: u64, size: Option<u64>) -> ProgressBar {
    let (bar, template) = match size {
        Some(size) => {
            let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr());
            (bar, "{bar:30} {percent:>3} % {msg}, {eta} left")
        }
        None => {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            (bar, "{spinner} {msg}")
        }
    };
    // The template is constant and valid; otherwise the default bar remains.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_position(read);
    bar.reset_eta();
    bar
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no count comes near 2^53, and this one is rounded"
)]
fn status_text(lines: u64, refused: u64, elapsed: Duration) -> String {
    let per_second = lines as f64 / elapsed.as_secs_f64().max(0.001);
    let refused = match refused {
        0 => String::new(),
        refused => format!(", {refused} rejected"),
    };
    format!("{lines} lines, {per_second:.0}/s{refused}")
}

/// Returns `None` without enough data for an estimate.
#[expect(
    clippy::cast_precision_loss,
    reason = "no file has 2^53 bytes, and this is rounded"
)]
fn time_left(read: u64, left: Option<u64>, elapsed: Duration) -> Option<String> {
    let left = left.filter(|_| read > 0)? as f64;
    let seconds = left / read as f64 * elapsed.as_secs_f64();
    Some(format!(", about {seconds:.0} s left"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_count_rate_rejected_and_time_left() {
        let ten = Duration::from_secs(10);
        assert_eq!(status_text(12_000, 0, ten), "12000 lines, 1200/s");
        assert_eq!(status_text(10, 3, ten), "10 lines, 1/s, 3 rejected");
        let left = time_left(500, Some(1_500), ten);
        assert_eq!(left.unwrap(), ", about 30 s left");
        assert_eq!(time_left(0, Some(9), ten), None);
        assert_eq!(time_left(9, None, ten), None);
    }
}
