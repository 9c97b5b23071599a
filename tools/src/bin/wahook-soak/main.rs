//! `wahook-soak`: a long run at half load, with failed attempts, reloads, lost connections and
//! restarts, on real servers. Memory, open files, connections, queues and latency must be flat
//! after the warm-up, and no event may be lost. `make soak` builds the programs for it;
//! [Soak](../../../../docs/performance/soak.md) has the method and the figures of a run.

mod arrivals;
mod axis;
mod endpoints;
mod ledger;
mod load;
mod outcome;
mod panels;
mod plot;
mod report;
mod rules;
mod run;
mod sampler;
mod samples;
mod schedule;
mod slope;
mod stage;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;
use wahook_tests::document;
use wahook_tests::statistics::{median, sorted};

use run::Run;
use samples::{Recording, Sample};

/// Part of the page that a run replaces.
const PART: &str = "soak";
const PICTURE: &str = "![Memory, open files, connections, queues and latency over time](soak.svg)";

/// Sends events at half load for two hours, disturbs the system, and judges its measures.
/// Exit status 0: nothing is lost, and everything is flat after the warm-up.
#[derive(Debug, Parser)]
#[command(name = "wahook-soak", version)]
struct Arguments {
    /// Minutes of load
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(3..=10_080))]
    minutes: u32,
    /// Events a second (default: half of what the machine delivers, measured first)
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// CSV file of the samples, written during the run
    #[arg(long, value_name = "FILE", default_value = "target/soak.csv")]
    samples: PathBuf,
    /// Write the results into soak.md and soak.svg of this folder
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
    /// Remark about the run for the page
    #[arg(long, value_name = "TEXT", requires = "write")]
    note: Option<String>,
    /// Judge the samples of an earlier run instead, and draw them into FILE.svg
    #[arg(long, value_name = "FILE", conflicts_with_all = ["minutes", "rate", "write"])]
    judge: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.judge {
        Some(path) => judge_earlier(path),
        None => soak(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wahook-soak: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn soak(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(folder) = &arguments.write {
        // A missing file or part fails before the run.
        page(folder, "")?;
    }
    let mut recording = Recording::create(&arguments.samples)?;
    let run = run::run(arguments.minutes, arguments.rate, &mut recording).await?;
    let findings = verdict::classify(&run.samples, run.rate);
    let note = arguments.note.as_deref();
    let note = note.map_or_else(String::new, |note| format!(" {note}"));
    let text = report::markdown(&run, &findings, &machine()?, &note);
    println!("\n{text}");
    if let Some(folder) = &arguments.write {
        write(folder, &text, &run)?;
    }
    let faults = report::faults(&run, &findings);
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

fn judge_earlier(path: &Path) -> anyhow::Result<()> {
    let samples = samples::read(path)?;
    let rates: Vec<_> = samples
        .iter()
        .filter_map(|sample| sample.get("accepted_per_second"))
        .collect();
    let findings = verdict::classify(&samples, median(&sorted(rates)).unwrap_or_default());
    println!("{}", report::table(&findings));
    let mut plot = path.as_os_str().to_owned();
    plot.push(".svg");
    fs::write(&plot, drawn(&samples)).with_context(|| format!("{}", plot.display()))?;
    let bad = findings.iter().filter(|finding| !finding.is_good());
    let bad: Vec<_> = bad.map(ToString::to_string).collect();
    ensure!(bad.is_empty(), "{}", bad.join("\n"));
    Ok(())
}

/// Returns the path of the page, and its text with these results.
fn page(folder: &Path, results: &str) -> anyhow::Result<(PathBuf, String)> {
    let path = folder.join("soak.md");
    let text = document::filled(&path, PART, results)?;
    Ok((path, text))
}

fn write(folder: &Path, results: &str, run: &Run) -> anyhow::Result<()> {
    let (path, text) = page(folder, &format!("{PICTURE}\n\n{results}"))?;
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    let plot = folder.join("soak.svg");
    fs::write(&plot, drawn(&run.samples)).with_context(|| plot.display().to_string())
}

fn drawn(samples: &[Sample]) -> String {
    let title = "make soak: samples each ten seconds; the warm-up is shaded";
    plot::svg(samples, title, verdict::warm_up(samples))
}

fn machine() -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    Ok(format!(
        "{cores} cores, Linux {}, wahook {}",
        kernel.trim(),
        env!("CARGO_PKG_VERSION"),
    ))
}
