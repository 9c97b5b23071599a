//! Parsed samples of `/metrics`.

use std::collections::BTreeMap;

use anyhow::Context;

/// Samples by full name, as in the exposition: `name{label="value"}`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metrics {
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    /// Parses the Prometheus text format.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let samples = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let broken = || format!("not a sample: {line}");
                // Without a timestamp the value is last; label values can contain spaces.
                let (name, value) = line.rsplit_once(' ').with_context(broken)?;
                let value: f64 = value.parse().with_context(broken)?;
                Ok((name.to_owned(), value))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { samples })
    }

    /// Returns a sample by its full name, with the labels in the order of the exposition.
    pub fn get(&self, full_name: &str) -> Option<f64> {
        self.samples.get(full_name).copied()
    }

    /// Returns the sum over all labels; 0 for an unknown metric.
    pub fn sum(&self, name: &str) -> f64 {
        self.sum_where(name, &[])
    }

    /// Returns the sum of the samples with all of these labels.
    pub fn sum_where(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.samples
            .iter()
            .filter(|(full_name, _)| {
                let (base, rest) = full_name
                    .split_once('{')
                    .unwrap_or((full_name.as_str(), ""));
                let carries = |(label, value): &(&str, &str)| {
                    let pair = format!("{label}=\"{value}\"");
                    rest.starts_with(&pair) || rest.contains(&format!(",{pair}"))
                };
                base == name && labels.iter().all(carries)
            })
            .map(|(_, value)| value)
            .sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.samples
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP posts_total Posts.
# TYPE posts_total counter
posts_total{endpoint=\"a\",outcome=\"delivered\"} 3
posts_total{endpoint=\"b\",outcome=\"delivered\"} 4
posts_total{endpoint=\"b\",outcome=\"time out\"} 5

up 1
lag +Inf
";

    #[test]
    fn samples_are_read_and_summed_by_label() {
        let metrics = Metrics::parse(TEXT).unwrap();
        assert_eq!(metrics.sum("posts_total"), 12.0);
        assert_eq!(metrics.sum_where("posts_total", &[("endpoint", "b")]), 9.0);
        assert_eq!(
            metrics.sum_where("posts_total", &[("outcome", "time out")]),
            5.0
        );
        assert_eq!(metrics.get("up"), Some(1.0));
        assert_eq!(metrics.sum("lag"), f64::INFINITY);
        assert_eq!(metrics.sum("posts"), 0.0);
    }

    #[test]
    fn a_line_without_a_value_is_an_error() {
        assert!(Metrics::parse("posts_total").is_err());
    }
}
