//! How a long import shows that it goes on: a bar on a terminal, elsewhere a
//! line now and then.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{IsTerminal, Write, stderr},
    time::Duration,
};
use tokio::time::Instant;

/// Between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// What is shown while lines are sent.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    size: Option<u64>,
    /// Bytes that earlier runs had read.
    read_before: u64,
    begun: Instant,
    told: Instant,
    lines: u64,
}

impl Progress {
    /// `read` of `size` bytes have been read by earlier runs.
    pub(super) fn new(read: u64, size: Option<u64>) -> Self {
        let now = Instant::now();
        Self {
            bar: stderr().is_terminal().then(|| bar(read, size)),
            size,
            read_before: read,
            begun: now,
            told: now,
            lines: 0,
        }
    }

    /// So many lines more are settled, and the file is read as far as this.
    pub(super) fn advance(&mut self, lines: u64, read: u64, refused: u64) -> std::io::Result<()> {
        self.lines += lines;
        let text = sentence(self.lines, refused, self.begun.elapsed());
        if let Some(bar) = &self.bar {
            bar.set_position(read);
            bar.set_message(text);
        } else if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            let now = read.saturating_sub(self.read_before);
            let left = self.size.map(|size| size.saturating_sub(read));
            let left = left_after(now, left, self.begun.elapsed());
            writeln!(stderr(), "{text}{}", left.as_deref().unwrap_or(""))?;
        }
        Ok(())
    }
}

/// However it ends, the bar goes before the last words come.
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
    // The template is ours and right; a wrong one would leave the plain bar.
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
fn sentence(lines: u64, refused: u64, elapsed: Duration) -> String {
    let per_second = lines as f64 / elapsed.as_secs_f64().max(0.001);
    let refused = match refused {
        0 => String::new(),
        refused => format!(", {refused} refused"),
    };
    format!("{lines} lines, {per_second:.0}/s{refused}")
}

/// None while there is nothing to go by.
#[expect(
    clippy::cast_precision_loss,
    reason = "files of 2^53 bytes are no worry, and this is rounded"
)]
fn left_after(read: u64, left: Option<u64>, elapsed: Duration) -> Option<String> {
    let left = left.filter(|_| read > 0)? as f64;
    let seconds = left / read as f64 * elapsed.as_secs_f64();
    Some(format!(", about {seconds:.0} s left"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_much_how_fast_and_how_long_yet() {
        let ten = Duration::from_secs(10);
        assert_eq!(sentence(12_000, 0, ten), "12000 lines, 1200/s");
        assert_eq!(sentence(10, 3, ten), "10 lines, 1/s, 3 refused");
        let left = left_after(500, Some(1_500), ten);
        assert_eq!(left.unwrap(), ", about 30 s left");
        assert_eq!(left_after(0, Some(9), ten), None);
        assert_eq!(left_after(9, None, ten), None);
    }
}
