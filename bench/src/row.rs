//! Cells of the tables.

use std::collections::BTreeMap;
use std::time::Duration;

use wahook_tests::statistics::{median, sorted};

use crate::figures::{Figures, ONE_PROCESS};
use crate::lab::Subject;
use crate::scenarios::Scenario;

/// All runs of one scenario.
pub(crate) struct Row {
    pub(crate) scenario: &'static Scenario,
    pub(crate) runs: BTreeMap<Subject, Vec<Figures>>,
}

impl Row {
    pub(crate) fn cells(&self) -> [String; 6] {
        let rates = |subject| self.values(subject, |figures| figures.per_second);
        [
            self.scenario.what.to_owned(),
            spread(&rates(Subject::Wahook), 0),
            spread(&rates(Subject::Floor), 0),
            spread(&self.ratios(), 2),
            self.cpu(Subject::Wahook),
            self.cpu(Subject::Floor),
        ]
    }

    pub(crate) fn latency_cells(&self) -> [String; 3] {
        [
            self.scenario.what.to_owned(),
            self.latency(Subject::Wahook),
            self.latency(Subject::Floor),
        ]
    }

    /// Returns p50 and p99 of each search in milliseconds.
    pub(crate) fn search_cells(&self) -> Vec<String> {
        let figures = self.runs.get(&Subject::Wahook);
        let searches = figures.and_then(|runs| runs.first()).into_iter();
        let times = searches.flat_map(|figures| &figures.searches);
        let times = times.map(|(_, times)| {
            let [p50, p99] = times.map(|time| time.as_secs_f64() * 1e3);
            format!("{p50:.1} / {p99:.1}")
        });
        [self.scenario.what.to_owned()]
            .into_iter()
            .chain(times)
            .collect()
    }

    /// Returns p50, p99 and p99.9 in milliseconds, each the median of all runs.
    fn latency(&self, subject: Subject) -> String {
        let of_part = |part: usize| {
            self.values(subject, |figures| {
                let latency = figures.latency.unwrap_or_default();
                latency.get(part).map_or(0.0, Duration::as_secs_f64) * 1e3
            })
        };
        let parts = [0, 1, 2].map(|part| median(&of_part(part)).map(|ms| format!("{ms:.2}")));
        let [Some(p50), Some(p99), Some(p999)] = parts else {
            return "–".to_owned();
        };
        format!("{p50} / {p99} / {p999}")
    }

    /// Returns the rate of each run divided by the rate of the floor's preceding run, since the
    /// speed of the machine changes within a minute.
    fn ratios(&self) -> Vec<f64> {
        let of = |subject| self.runs.get(&subject).into_iter().flatten();
        let pairs = of(Subject::Wahook).zip(of(Subject::Floor));
        let ratios = pairs.map(|(ours, floor)| ours.per_second / floor.per_second);
        sorted(ratios.collect::<Vec<_>>())
    }

    /// Returns the median CPU times: producer + consumer / broker / mongod, or one figure.
    fn cpu(&self, subject: Subject) -> String {
        let of = |names: &[&str]| {
            let values = self.values(subject, |figures| {
                let parts = figures.cpu.iter().filter(|(name, _)| names.contains(name));
                // An empty sum of floats would be printed as -0.
                parts.fold(0.0, |sum, (_, cpu)| sum + cpu)
            });
            median(&values).unwrap_or_default()
        };
        if self.runs.get(&subject).is_none_or(Vec::is_empty) {
            return "–".to_owned();
        }
        let alone = of(&[ONE_PROCESS]);
        if alone > 0.0 {
            return format!("{alone:.0}");
        }
        format!(
            "{:.0} + {:.0} / {:.0} / {:.0}",
            of(&["producer"]),
            of(&["consumer"]),
            of(&["broker"]),
            of(&["mongod"])
        )
    }

    pub(crate) fn peak_memory(&self, program: &str) -> Option<f64> {
        let values = self.values(Subject::Wahook, |figures| {
            figures
                .peak_memory
                .get(program)
                .copied()
                .unwrap_or_default()
        });
        values.into_iter().reduce(f64::max)
    }

    pub(crate) fn values(&self, subject: Subject, value: impl Fn(&Figures) -> f64) -> Vec<f64> {
        let runs = self.runs.get(&subject).into_iter().flatten();
        sorted(runs.map(value).collect::<Vec<_>>())
    }
}

fn spread(sorted: &[f64], decimals: usize) -> String {
    match (median(sorted), sorted.first(), sorted.last()) {
        (Some(median), Some(low), Some(high)) => {
            format!("{median:.decimals$} ({low:.decimals$} to {high:.decimals$})")
        }
        _ => "–".to_owned(),
    }
}
