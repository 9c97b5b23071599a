//! Verdict about the samples of a run: is each measure flat after the warm-up?

use std::fmt;

use wahook_tests::statistics::{median, sorted};

use crate::rules::{Bound, RULES, Rule};
use crate::samples::Sample;
use crate::slope::slope;

/// Longest warm-up in seconds; that of a shorter run is a sixth of it.
const WARM_UP: u32 = 600;
/// Samples for a verdict, at least.
const ENOUGH: usize = 9;

/// Returns the warm-up of a run of this many seconds.
pub(crate) fn warm_up_of(seconds: u32) -> u32 {
    (seconds / 6).min(WARM_UP)
}

/// Returns the end of the warm-up in seconds.
pub(crate) fn warm_up(samples: &[Sample]) -> f64 {
    let end = samples.last().map_or(0.0, |sample| sample.at);
    (end / 6.0).min(f64::from(WARM_UP))
}

/// Behaviour of one measure after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Finding {
    pub(crate) rule: &'static Rule,
    /// Number of samples.
    pub(crate) samples: usize,
    /// Median of the first third of the samples.
    pub(crate) first: f64,
    /// Median of the last third.
    pub(crate) last: f64,
    /// Change by the slope, over all of the time.
    pub(crate) trend: f64,
    pub(crate) most: f64,
    pub(crate) allowed: f64,
}

impl Finding {
    fn of(rule: &'static Rule, samples: &[Sample], rate: f64) -> Self {
        let warm_up = warm_up(samples);
        let judged = samples
            .iter()
            .filter(|sample| sample.at > warm_up && (!rule.undisturbed || sample.is_undisturbed()));
        let points: Vec<_> = judged
            .filter_map(|sample| Some((sample.at, sample.get(rule.column)?)))
            .collect();
        let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
        let third = values.len() / 3;
        let of_third =
            |third: Option<&[f64]>| median(&sorted(third.unwrap_or_default())).unwrap_or_default();
        let first = of_third(values.get(..third));
        let length = match points.as_slice() {
            [(begin, _), .., (end, _)] => end - begin,
            _ => 0.0,
        };
        Self {
            rule,
            samples: values.len(),
            first,
            last: of_third(values.get(values.len() - third..)),
            trend: slope(&points).unwrap_or_default() * length,
            most: values.iter().copied().fold(0.0, f64::max),
            allowed: rule.bound.allowed(first, rate),
        }
    }

    pub(crate) fn is_enough(&self) -> bool {
        self.samples >= ENOUGH
    }

    /// Returns true if the measure is flat, or for information only.
    pub(crate) fn is_good(&self) -> bool {
        let bound = self.rule.bound;
        let permits = |change| bound.permits(change, self.allowed);
        bound == Bound::Free
            || self.is_enough() && permits(self.last - self.first) && permits(self.trend)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { what, unit, .. } = self.rule;
        if !self.is_enough() {
            let samples = self.samples;
            return write!(f, "{what}: {samples} samples are too few for a verdict");
        }
        let (first, last, trend, allowed) = (self.first, self.last, self.trend, self.allowed);
        let space = if unit.is_empty() { "" } else { " " };
        write!(
            f,
            "{what} is not flat: median {first:.1}, then {last:.1}{space}{unit}, \
             trend {trend:+.1}, allowed {allowed:.1}"
        )
    }
}

/// Judges all measures of a run with this number of events a second.
pub(crate) fn classify(samples: &[Sample], rate: f64) -> Vec<Finding> {
    let findings = RULES.iter();
    findings
        .map(|rule| Finding::of(rule, samples, rate))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of 20 minutes with one column; every sixth sample is disturbed.
    fn samples(column: &'static str, value: impl Fn(f64) -> f64) -> Vec<Sample> {
        let sample = |n: u32| {
            let at = f64::from(n * 10);
            let disturbances = if n.is_multiple_of(6) { "reload" } else { "" };
            Sample {
                at,
                disturbances: disturbances.to_owned(),
                values: [(column, value(at))].into(),
            }
        };
        (1..=120).map(sample).collect()
    }

    fn finding(samples: &[Sample], column: &str) -> Finding {
        let mut findings = classify(samples, 1_000.0).into_iter();
        findings
            .find(|finding| finding.rule.column == column)
            .unwrap()
    }

    #[test]
    fn growth_after_the_warm_up_is_found() {
        let flat = samples("consumer_mib", |at| {
            // Rises in the warm-up, then varies.
            if at <= 200.0 {
                at
            } else {
                200.0 + at % 30.0 / 10.0
            }
        });
        let flat = finding(&flat, "consumer_mib");
        assert!(flat.is_good(), "{flat}");
        assert_eq!((flat.samples, flat.allowed > 20.0), (100, true));

        let leak = samples("consumer_mib", |at| 30.0 + at / 200.0);
        let leak = finding(&leak, "consumer_mib");
        assert!(!leak.is_good());
        assert!((leak.trend - 4.95).abs() < 0.01, "{leak}");
        let text = leak.to_string();
        assert!(
            text.contains("memory of the consumer is not flat"),
            "{text}"
        );
    }

    #[test]
    fn fall_is_good_except_for_the_rate() {
        let falling = samples("producer_mib", |at| 50.0 - at / 60.0);
        assert!(finding(&falling, "producer_mib").is_good());
        let falling = samples("accepted_per_second", |at| 1_000.0 - at / 10.0);
        assert!(!finding(&falling, "accepted_per_second").is_good());
    }

    #[test]
    fn outliers_do_not_count_and_the_maximum_shows_them() {
        let bursts = samples(
            "queue_plain",
            |at| {
                if at % 300.0 < 10.0 { 9_000.0 } else { 3.0 }
            },
        );
        let bursts = finding(&bursts, "queue_plain");
        assert!(bursts.is_good(), "{bursts}");
        assert_eq!(bursts.most, 9_000.0);
    }

    #[test]
    fn latency_is_that_of_undisturbed_intervals() {
        let column = "plain_p99_ms";
        let slow_when_disturbed =
            samples(column, |at| if at % 60.0 < 5.0 { 100.0 + at } else { 5.0 });
        let finding_of = |samples: &[Sample]| finding(samples, column);
        let finding = finding_of(&slow_when_disturbed);
        assert!(finding.is_good() && finding.most == 5.0, "{finding:?}");
        let few = finding_of(&slow_when_disturbed[..10]);
        assert!(!few.is_good());
        assert!(few.to_string().contains("too few"), "{few}");
    }

    #[test]
    fn one_dead_letter_is_too_many() {
        let letters = samples("queue_dead", |at| if at > 900.0 { 1.0 } else { 0.0 });
        assert!(!finding(&letters, "queue_dead").is_good());
        assert!(finding(&samples("queue_dead", |_| 0.0), "queue_dead").is_good());
    }

    #[test]
    fn warm_up_is_ten_minutes_or_a_sixth() {
        let lasting = |at| {
            [Sample {
                at,
                ..Sample::default()
            }]
        };
        assert_eq!(warm_up(&lasting(7_200.0)), 600.0);
        assert_eq!(warm_up(&lasting(360.0)), 60.0);
        assert_eq!([7_200, 360].map(warm_up_of), [600, 60]);
    }
}
