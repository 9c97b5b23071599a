//! `wahook-bench`: rates and costs of the programs, next to the floor. `make bench` builds the
//! required programs.

mod at_rest;
mod comparison;
mod figures;
mod lab;
mod load;
mod meter;
mod model;
mod queues;
mod row;
mod run;
mod scenarios;
mod search;
mod sink;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use wahook_tests::timed_event as event;

use lab::{Lab, Subject};
use row::Row;
use scenarios::{ALL, Scale, Scenario, Table};

/// Measure the programs and the floor on private servers
#[derive(Debug, Parser)]
#[command(name = "wahook-bench", version)]
struct Arguments {
    /// Run only this scenario (repeatable)
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// List the scenarios
    #[arg(long)]
    list: bool,
    /// Print the calculated resources for up to 100,000 events/s
    #[arg(long)]
    model: bool,
    /// Number of runs per scenario
    #[arg(long, default_value_t = 3)]
    runs: u32,
    /// Percentage of events per run; published figures use 100
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
        // One failed scenario must not discard half an hour of results.
        let row = match measure(&lab, scenario, arguments, &bar).await {
            Ok(row) => row,
            Err(error) => {
                bar.suspend(|| eprintln!("wahook-bench: {error:#}"));
                failed.push(scenario.name);
                continue;
            }
        };
        let cells = match scenario.table() {
            Table::Rate => row.cells().join("  "),
            Table::Latency => row.latency_cells().join("  "),
            Table::Search => row.search_cells().join("  "),
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
        bail!("scenarios not measured: {}", failed.join(", "));
    }
    Ok(())
}

/// Alternates floor and programs, so that disturbances of the machine affect both.
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
            bail!("unknown scenario {name}; see --list");
        }
    }
    let is_chosen =
        |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    Ok(ALL.iter().filter(is_chosen).collect())
}

fn progress(runs: u64) -> ProgressBar {
    let bar = ProgressBar::new(runs);
    // The template is constant and valid; an invalid one would leave the default bar.
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
