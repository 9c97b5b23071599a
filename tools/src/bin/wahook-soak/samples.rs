//! Samples of a run, and the CSV file that has them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};

/// Columns of a sample. Programs are the producer, the consumer that is never restarted, and the
/// one that is.
pub(crate) const COLUMNS: [&str; 37] = [
    "producer_mib",
    "producer_files",
    "producer_threads",
    "producer_connections",
    "consumer_mib",
    "consumer_files",
    "consumer_threads",
    "consumer_connections",
    "restarted_mib",
    "restarted_files",
    "restarted_threads",
    "restarted_connections",
    "broker_mib",
    "mongod_mib",
    "soak_mib",
    "queue_plain",
    "queue_ordered",
    "queue_retries",
    "queue_results",
    "queue_dead",
    "pending_plain",
    "pending_ordered",
    "accepted",
    "skipped",
    "refused",
    "delivered_plain",
    "delivered_ordered",
    "repeats",
    "accepted_per_second",
    "plain_p50_ms",
    "plain_p99_ms",
    "plain_max_ms",
    "ordered_p50_ms",
    "ordered_p99_ms",
    "ordered_max_ms",
    "own_cpu",
    "other_cpu",
];

/// Mark of a sample in which the system recovers from a disturbance.
pub(crate) const SETTLING: &str = "settling";
const FIRST_COLUMNS: [&str; 2] = ["seconds", "disturbances"];

/// State of the system at a time, and the events of the interval before it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sample {
    /// Seconds since the start of the load.
    pub(crate) at: f64,
    /// Disturbances of the interval, joined by `+`, or [`SETTLING`]; empty for an undisturbed one.
    pub(crate) disturbances: String,
    /// Values by column; a missing one could not be measured.
    pub(crate) values: BTreeMap<&'static str, f64>,
}

impl Sample {
    pub(crate) fn get(&self, column: &str) -> Option<f64> {
        self.values.get(column).copied()
    }

    pub(crate) fn is_undisturbed(&self) -> bool {
        self.disturbances.is_empty()
    }

    fn line(&self) -> String {
        let mut cells = vec![format!("{:.1}", self.at), self.disturbances.clone()];
        cells.extend(COLUMNS.map(|column| match self.get(column) {
            Some(value) if value.fract() == 0.0 => format!("{value:.0}"),
            Some(value) => format!("{value:.3}"),
            None => String::new(),
        }));
        cells.join(",")
    }

    fn parse(line: &str) -> anyhow::Result<Self> {
        let mut cells = line.split(',');
        let at = cells.next().unwrap_or_default().parse()?;
        let disturbances = cells.next().context("a cell is missing")?.to_owned();
        let mut values = BTreeMap::new();
        for column in COLUMNS {
            let cell = cells.next().context("a cell is missing")?;
            if !cell.is_empty() {
                values.insert(column, cell.parse()?);
            }
        }
        Ok(Self {
            at,
            disturbances,
            values,
        })
    }
}

/// CSV file that grows during the run, so that an aborted one leaves its samples.
pub(crate) struct Recording(File);

impl Recording {
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let create = || -> anyhow::Result<_> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = File::create(path)?;
            writeln!(file, "{}", header())?;
            Ok(file)
        };
        Ok(Self(create().with_context(|| path.display().to_string())?))
    }

    pub(crate) fn append(&mut self, sample: &Sample) -> anyhow::Result<()> {
        writeln!(self.0, "{}", sample.line()).context("the file of the samples")
    }
}

/// Reads the samples of an earlier run.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Sample>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &str) -> anyhow::Result<Vec<Sample>> {
    let mut lines = text.lines();
    ensure!(
        lines.next() == Some(&header()),
        "its columns are not those of this version"
    );
    let samples = lines.enumerate().map(|(index, line)| {
        let sample = Sample::parse(line);
        sample.with_context(|| format!("line {}", index + 2))
    });
    samples.collect()
}

fn header() -> String {
    [&FIRST_COLUMNS[..], &COLUMNS].concat().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_samples_are_read_unchanged() {
        let folder = wahook_tests::folder::RunFolder::temporary("soak-samples").unwrap();
        let path = folder.join("below/soak.csv");
        let first = Sample {
            at: 10.0,
            disturbances: "reload+restart".to_owned(),
            values: [("producer_mib", 17.125), ("ordered_max_ms", 3.0)].into(),
        };
        let second = Sample {
            at: 20.0,
            values: [("own_cpu", 0.5)].into(),
            ..Sample::default()
        };
        let mut recording = Recording::create(&path).unwrap();
        recording.append(&first).unwrap();
        recording.append(&second).unwrap();
        let samples = read(&path).unwrap();
        assert_eq!(samples, [first, second]);
        assert!(!samples[0].is_undisturbed() && samples[1].is_undisturbed());
    }

    #[test]
    fn incomplete_lines_and_other_columns_are_errors() {
        let error = |text: &str| format!("{:#}", parse(text).unwrap_err());
        assert!(error("seconds,disturbances\n").contains("columns"));
        let incomplete = format!("{}\n10.0,,1\n", header());
        assert!(error(&incomplete).contains("line 2"), "{incomplete}");
    }
}
