//! Measured times, with the bounds that they must keep.

use std::time::Duration;

use wahook_tests::statistics::quantile;

/// Bound of the times of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// Of all times.
    All(Duration),
    /// Of all but the slowest hundredth.
    P99(Duration),
    /// None: for comparison.
    Open,
}

/// Times of one kind.
#[derive(Debug)]
pub(super) struct Figure {
    what: String,
    /// In ascending order.
    times: Vec<Duration>,
    bound: Bound,
}

impl Figure {
    pub(super) fn new(what: impl Into<String>, mut times: Vec<Duration>, bound: Bound) -> Self {
        times.sort_unstable();
        let what = what.into();
        Self { what, times, bound }
    }

    /// Returns a Markdown table.
    pub(super) fn table(figures: &[Self]) -> String {
        let head = "| time | number | p50 | p99 | longest | bound |\n|---|---|---|---|---|---|\n";
        let rows = figures.iter().map(Self::row);
        std::iter::once(head.to_owned()).chain(rows).collect()
    }

    /// Returns the fault of a figure that exceeds its bound, or has no times.
    pub(super) fn exceeded(&self) -> Option<String> {
        let (time, most) = match self.bound {
            _ if self.times.is_empty() => return Some(format!("{}: no times", self.what)),
            Bound::All(most) => (self.quantile(1_000), most),
            Bound::P99(most) => (self.quantile(990), most),
            Bound::Open => return None,
        };
        (time > most).then(|| format!("{}: {time:.3?}, more than {most:?}", self.what))
    }

    fn row(&self) -> String {
        let bound = match self.bound {
            Bound::All(most) => seconds(most),
            Bound::P99(most) => format!("p99 {}", seconds(most)),
            Bound::Open => "–".to_owned(),
        };
        format!(
            "| {} | {} | {} | {} | {} | {bound} |\n",
            self.what,
            self.times.len(),
            seconds(self.quantile(500)),
            seconds(self.quantile(990)),
            seconds(self.quantile(1_000)),
        )
    }

    fn quantile(&self, permille: usize) -> Duration {
        quantile(&self.times, permille).unwrap_or_default()
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.3} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(times: std::ops::RangeInclusive<u64>, bound: Bound) -> Figure {
        // The slowest first.
        Figure::new("x", times.rev().map(Duration::from_millis).collect(), bound)
    }

    #[test]
    fn percentiles_are_in_the_row_of_a_figure() {
        let row = figure(1..=200, Bound::P99(Duration::from_secs(1))).row();
        assert_eq!(
            row,
            "| x | 200 | 0.100 s | 0.198 s | 0.200 s | p99 1.000 s |\n"
        );
    }

    #[test]
    fn figure_without_times_or_beyond_its_bound_is_a_fault() {
        let bound = Duration::from_millis(199);
        assert!(
            figure(1..=200, Bound::All(bound))
                .exceeded()
                .is_some_and(|fault| fault == "x: 200.000ms, more than 199ms")
        );
        assert!(figure(1..=200, Bound::P99(bound)).exceeded().is_none());
        assert!(figure(1..=202, Bound::P99(bound)).exceeded().is_some());
        assert!(figure(1..=200, Bound::Open).exceeded().is_none());
        assert!(
            Figure::new("x", Vec::new(), Bound::Open)
                .exceeded()
                .is_some()
        );
    }
}
