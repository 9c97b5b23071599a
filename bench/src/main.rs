//! `wahook-bench`: how fast is it, how fast could it be, and what does it cost? `make bench`
//! builds what it needs.

mod at_rest;
mod event;
mod lab;
mod load;
mod model;
mod run;
mod scenarios;
mod sink;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use lab::{Lab, Subject};
use scenarios::{ALL, Scale, Scenario};
use table::Row;

/// Measures the programs and the floor below them, on private servers.
#[derive(Debug, Parser)]
#[command(name = "wahook-bench", version)]
struct Arguments {
    /// Only this scenario (may be repeated)
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// List the scenarios
    #[arg(long)]
    list: bool,
    /// Print what rates up to 100,000 events a second need, on paper
    #[arg(long)]
    model: bool,
    /// Runs of each scenario
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Percent of each run's events; 100 is what the figures stand for
    #[arg(long, default_value_t = 100)]
    scale: u32,
    /// Write the table to this file
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for scenario in ALL {
            println!("{:<18} {}", scenario.name, scenario.what);
        }
        return ExitCode::SUCCESS;
    }
    if arguments.model {
        print!("{}", model::table());
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wahook-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let chosen = chosen(&arguments.only)?;
    let runs = chosen.iter().map(|scenario| scenario.runs(arguments.runs));
    let bar = progress(runs.map(u64::from).sum());
    bar.set_message("starting RabbitMQ and MongoDB");
    let lab = Lab::open().await?;
    let at_rest = at_rest::all(&lab).await?;
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for scenario in chosen {
        bar.set_message(scenario.what);
        // What takes half an hour to measure is not lost for one scenario.
        let row = match measure(&lab, scenario, arguments, &bar).await {
            Ok(row) => row,
            Err(error) => {
                bar.suspend(|| eprintln!("wahook-bench: {error:#}"));
                failed.push(scenario.name);
                continue;
            }
        };
        let cells = if scenario.is_about_latency() {
            row.latency_cells().join("  ")
        } else {
            row.cells().join("  ")
        };
        bar.suspend(|| println!("{cells}"));
        rows.push(row);
    }
    bar.finish_and_clear();
    let table = table::markdown(&rows, &at_rest, &about(&lab).await?);
    println!("\n{table}");
    if let Some(path) = &arguments.write {
        std::fs::write(path, &table).with_context(|| path.display().to_string())?;
    }
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    Ok(())
}

/// Floor and programs take turns, so that what disturbs the machine disturbs both.
async fn measure(
    lab: &Lab,
    scenario: &'static Scenario,
    arguments: &Arguments,
    bar: &ProgressBar,
) -> anyhow::Result<Row> {
    let mut runs: BTreeMap<Subject, Vec<_>> = BTreeMap::new();
    for _ in 0..scenario.runs(arguments.runs) {
        for subject in Subject::BOTH {
            if subject == Subject::Floor && scenario.only_wahook {
                continue;
            }
            lab.clear().await?;
            let figures = scenario.run(lab, subject, Scale(arguments.scale)).await;
            let figures = figures.with_context(|| format!("{subject:?}, {}", scenario.what))?;
            runs.entry(subject).or_default().push(figures);
        }
        bar.inc(1);
    }
    Ok(Row { scenario, runs })
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Scenario>> {
    for name in names {
        if !ALL.iter().any(|scenario| scenario.name == name) {
            bail!("there is no scenario {name}; --list names them all");
        }
    }
    let is_chosen =
        |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    Ok(ALL.iter().filter(is_chosen).collect())
}

fn progress(runs: u64) -> ProgressBar {
    let bar = ProgressBar::new(runs);
    // The template is ours and right; a wrong one would leave the plain bar.
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len}  {elapsed}  {msg}") {
        bar.set_style(style);
    }
    bar
}

async fn about(lab: &Lab) -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism()?;
    let processor = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |model| {
        model.trim_start_matches([' ', '\t', ':'])
    });
    Ok(format!(
        "{cores} cores ({model}), wahook {}, {}",
        env!("CARGO_PKG_VERSION"),
        lab.servers.versions().await?,
    ))
}
