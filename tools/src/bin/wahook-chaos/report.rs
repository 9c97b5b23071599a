//! Progress of a run, and the table of its results.

use std::fmt::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::act::{Act, Size};
use crate::oracle::Verdict;
use crate::rows::Row;
use crate::stage::Stage;

/// Result of one row.
pub(crate) struct Result {
    row: &'static Row,
    verdict: Verdict,
    kills: u32,
    note: String,
    pub(crate) took: Duration,
    /// Faults beyond those of the verdict.
    pub(crate) faults: Vec<String>,
}

impl Result {
    pub(crate) fn of(row: &'static Row, act: &Act<'_>, verdict: Verdict) -> Self {
        let mut faults = Vec::new();
        let bound = act.duplicates_per_kill * u64::from(act.kills);
        if verdict.duplicates > bound {
            faults.push(format!(
                "{} duplicates, more than {bound}",
                verdict.duplicates
            ));
        }
        if !verdict.is_good() {
            faults.push(verdict.to_string());
        }
        Self {
            row,
            verdict,
            kills: act.kills,
            note: act.note.clone(),
            took: Duration::ZERO,
            faults,
        }
    }

    fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    fn cells(&self) -> [String; 9] {
        let verdict = &self.verdict;
        let stall = verdict.longest_stall.as_secs_f64();
        [
            self.row.fault.to_owned(),
            self.kills.to_string(),
            verdict.events.to_string(),
            verdict.lost.len().to_string(),
            verdict.uninvited.len().to_string(),
            verdict.unlogged.len().to_string(),
            verdict.damaged.len().to_string(),
            verdict.duplicates.to_string(),
            format!("{stall:.1} s"),
        ]
    }
}

/// A line a row; on a terminal also what is going on.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn of(rows: usize) -> Self {
        let bar = ProgressBar::new(rows as u64);
        // The template is ours and right; a wrong one would leave the plain bar.
        if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len}  {elapsed}  {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    pub(crate) fn says(&self, what: &'static str) {
        self.0.set_message(what);
    }

    pub(crate) fn begins(&self, row: &Row) {
        self.0.set_message(row.fault);
    }

    pub(crate) fn ended(&self, result: &Result) {
        self.0.inc(1);
        let mark = if result.is_good() { "ok " } else { "BAD" };
        let [fault, kills, events, lost, _, _, _, duplicates, stall] = result.cells();
        let took = result.took.as_secs();
        self.0.suspend(|| {
            println!(
                "{mark} {fault}: {events} events, {kills} faults, {lost} lost, \
                 {duplicates} duplicates, longest stall {stall}, in {took} s"
            );
            for fault in &result.faults {
                println!("    {fault}");
            }
        });
    }
}

/// All rows, and what they were played on.
pub(crate) struct Report {
    size: Size,
    seed: u64,
    versions: String,
    /// Version of the broker, without the last number: "RabbitMQ 4.3".
    series: String,
    rows: Vec<Result>,
}

impl Report {
    pub(crate) fn new(size: Size, seed: u64) -> Self {
        Self {
            size,
            seed,
            versions: String::new(),
            series: String::new(),
            rows: Vec::new(),
        }
    }

    /// Adds the versions of the servers of a stage. Clusters are always of the newer broker.
    pub(crate) async fn played_on(&mut self, stage: &Stage) -> anyhow::Result<()> {
        let servers = stage.versions().await?;
        let versions = versions(&servers)?;
        if self.versions.is_empty() {
            self.versions = versions;
            self.series = series(&servers).to_owned();
        } else if self.versions != versions {
            let _infallible = write!(self.versions, " (three nodes: {versions})");
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, result: Result) {
        self.rows.push(result);
    }

    pub(crate) fn bad_rows(&self) -> Vec<&str> {
        let bad = self.rows.iter().filter(|row| !row.is_good());
        bad.map(|row| row.row.name).collect()
    }

    /// Name of the part of the document that has the results of this broker.
    pub(crate) fn series(&self) -> &str {
        &self.series
    }

    pub(crate) fn markdown(&self) -> String {
        let command = match self.size {
            Size::Short => "make chaos-short",
            Size::Long => "make chaos",
        };
        let mut text = format!(
            "Results of `{command}` on {}, seed {}.\n\n\
             | fault | times | events | lost | never accepted | not in the log | damaged | duplicates | longest stall |\n\
             |---|---|---|---|---|---|---|---|---|\n",
            self.versions, self.seed
        );
        for row in &self.rows {
            let _infallible = writeln!(text, "| {} |", row.cells().join(" | "));
        }
        let notes = self.notes();
        if !notes.is_empty() {
            text.push('\n');
        }
        text + &notes
    }

    /// Returns the notes of the rows, and their faults.
    fn notes(&self) -> String {
        let of_row = |row: &Result| {
            let note = Some(&row.note).filter(|note| !note.is_empty());
            let faults = row.faults.iter().map(|fault| format!("**{fault}**"));
            let all: Vec<String> = note.cloned().into_iter().chain(faults).collect();
            (!all.is_empty()).then(|| format!("- {}: {}\n", row.row.fault, all.join("; ")))
        };
        self.rows.iter().filter_map(of_row).collect()
    }
}

/// Returns the versions of wahook, the servers and the machine.
pub(crate) fn versions(servers: &str) -> anyhow::Result<String> {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cores = std::thread::available_parallelism()?;
    Ok(format!(
        "wahook {}, {servers}, Linux {}, {cores} cores",
        env!("CARGO_PKG_VERSION"),
        kernel.trim(),
    ))
}

/// Returns the first name and its version without the last number.
pub(crate) fn series(servers: &str) -> &str {
    let broker = servers.split(',').next().unwrap_or_default();
    broker.rsplit_once('.').map_or(broker, |(series, _)| series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_is_the_version_of_the_broker_without_its_last_number() {
        assert_eq!(series("RabbitMQ 4.3.6, MongoDB 6.0.5"), "RabbitMQ 4.3");
        assert_eq!(series("RabbitMQ 3.10.8, MongoDB 6.0.5"), "RabbitMQ 3.10");
    }
}
