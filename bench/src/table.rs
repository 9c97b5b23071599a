//! Markdown tables of all figures.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use crate::at_rest::AtRest;
use crate::lab::Subject;
use crate::run::{Figures, ONE_PROCESS};
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
        let mut ratios: Vec<f64> = pairs
            .map(|(ours, floor)| ours.per_second / floor.per_second)
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios
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

    fn values(&self, subject: Subject, value: impl Fn(&Figures) -> f64) -> Vec<f64> {
        let mut values: Vec<f64> = self
            .runs
            .get(&subject)
            .into_iter()
            .flatten()
            .map(value)
            .collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

/// Two scenarios whose rates are compared.
struct Comparison {
    what: &'static str,
    this: &'static str,
    to: &'static str,
}

const COMPARISONS: [Comparison; 5] = [
    Comparison {
        what: "batches to single events",
        this: "ingest-batch",
        to: "ingest",
    },
    Comparison {
        what: "50 ms webhook to instant webhook, 2,048 in flight",
        this: "drain-50ms",
        to: "drain-wide",
    },
    Comparison {
        what: "2 consumers to 1",
        this: "drain-2",
        to: "drain",
    },
    Comparison {
        what: "4 consumers to 1",
        this: "drain-4",
        to: "drain",
    },
    Comparison {
        what: "order per chat to no order, end to end",
        this: "ordered",
        to: "end-to-end",
    },
];

impl Comparison {
    /// Returns the ratios of the median rates.
    fn cells(&self, rows: &[Row]) -> [String; 3] {
        let ratio = |subject| {
            let rate = |name| {
                let row = rows.iter().find(|row| row.scenario.name == name)?;
                median(&row.values(subject, |figures| figures.per_second))
            };
            let ratio = rate(self.this)? / rate(self.to)?;
            Some(format!("{ratio:.2}"))
        };
        let cell = |subject| ratio(subject).unwrap_or_else(|| "–".to_owned());
        [
            self.what.to_owned(),
            cell(Subject::Wahook),
            cell(Subject::Floor),
        ]
    }
}

pub(crate) fn markdown(rows: &[Row], at_rest: &[AtRest], about: &str) -> String {
    let mut text = format!(
        "# Benchmarks\n\nResults of `make bench` on {about}. Load generator, webhook, broker, database and\n\
         programs share the machine, so ratios matter more than absolute figures. The **floor** is `wahook-floor`:\n\
         the same crates, reduced to accept → confirmed publish → answer, and consume → POST → ack. Cells show the\n\
         median and, in brackets, the lowest and highest of all runs. Each ratio compares two consecutive runs.\n\n\
         | scenario | wahook, events/s | floor, events/s | ratio | wahook, µs CPU per event | floor, µs CPU per event |\n\
         |---|---|---|---|---|---|\n"
    );
    for row in rows.iter().filter(|row| !row.scenario.is_about_latency()) {
        let _infallible = writeln!(text, "| {} |", row.cells().join(" | "));
    }
    text += "\nCPU: producer + consumer / broker / mongod, or the single process.\n\n\
             | ratio of rates | wahook | floor |\n|---|---|---|\n";
    for comparison in COMPARISONS {
        let _infallible = writeln!(text, "| {} |", comparison.cells(rows).join(" | "));
    }
    text += "\n| latency, ms: p50 / p99 / p99.9 | wahook | floor |\n|---|---|---|\n";
    for row in rows.iter().filter(|row| row.scenario.is_about_latency()) {
        let _infallible = writeln!(text, "| {} |", row.latency_cells().join(" | "));
    }
    text += "\nLatency is the time from sending an event to the arrival of its first attempt.\n\n\
             | peak memory, MiB | producer | consumer | single process |\n|---|---|---|---|\n";
    for row in rows {
        let cell = |program| row.peak_memory(program).filter(|mib| *mib > 0.0);
        let cell = |program| cell(program).map_or("–".to_owned(), |mib| format!("{mib:.1}"));
        let what = row.scenario.what;
        let _infallible = writeln!(
            text,
            "| {what} | {} | {} | {} |",
            cell("producer"),
            cell("consumer"),
            cell(ONE_PROCESS)
        );
    }
    text += "\n| idle program | executable, MiB | start to ready, ms | memory, MiB |\n|---|---|---|---|\n";
    for program in at_rest {
        let AtRest {
            name,
            file_mib,
            ready_after,
            resident_mib,
        } = program;
        let millis = ready_after.as_millis();
        let _infallible = writeln!(
            text,
            "| {name} | {file_mib:.1} | {millis} | {resident_mib:.1} |"
        );
    }
    text
}

fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

fn spread(sorted: &[f64], decimals: usize) -> String {
    match (median(sorted), sorted.first(), sorted.last()) {
        (Some(median), Some(low), Some(high)) => {
            format!("{median:.decimals$} ({low:.decimals$} to {high:.decimals$})")
        }
        _ => "–".to_owned(),
    }
}
