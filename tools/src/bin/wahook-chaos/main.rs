//! `wahook-chaos`: the fault matrix, with real programs, a real broker and a real log. Each row
//! injects one fault under load; an oracle then counts events that are lost, duplicated, damaged
//! or not logged. `make chaos` and `make chaos-short` build the programs for it.

mod act;
mod brokers;
mod event;
mod gateway;
mod health;
mod lanes;
mod oracle;
mod order;
mod ordered;
mod other_log;
mod report;
mod rows;
mod script;
mod stage;
mod until;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail, ensure};
use clap::Parser;
use futures_util::FutureExt;
use wahook_tests::{document, rabbitmq};

use act::{Act, Size};
use brokers::Nodes;
use health::Health;
use report::{Progress, Report, Result as RowResult};
use rows::Row;
use stage::Stage;

/// Injects one fault after another under load and counts lost events.
/// Exit status 0: every row is as expected.
#[derive(Debug, Parser)]
#[command(name = "wahook-chaos", version)]
struct Arguments {
    /// Run the short form, as continuous integration does (10 minutes)
    #[arg(long)]
    short: bool,
    /// Run only this row (may be repeated)
    #[arg(long, value_name = "NAME")]
    row: Vec<String>,
    /// List the rows
    #[arg(long)]
    list: bool,
    /// Seed of an earlier run, to kill at the same points again
    #[arg(long)]
    seed: Option<u64>,
    /// Instead of the rows, run many ordered chats while consumers and brokers are killed
    #[arg(long, group = "instead")]
    order: bool,
    /// Run the ordered chats through one process on its data file, which is killed
    #[arg(long, requires = "order", conflicts_with = "nodes")]
    one_process: bool,
    /// Instead of the rows, measure takeover, balance and blocked chats of lanes, and cut owners
    /// off; on three nodes a partition
    #[arg(long, group = "instead", conflicts_with_all = ["row", "short"])]
    lanes: bool,
    /// Nodes of the broker
    #[arg(long, default_value = "1", requires = "instead", value_parser = ["1", "3"])]
    nodes: String,
    /// Events of 2,000 chats
    #[arg(long, default_value_t = 100_000, requires = "order")]
    events: usize,
    /// Owners of lanes to kill
    #[arg(long, default_value_t = 12, requires = "lanes", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    kills: u16,
    /// Replace the part of the broker's version in this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["row", "short", "order"])]
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for row in rows::all() {
            println!("{:<24} {}", row.name, row.fault);
        }
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wahook-chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let size = if arguments.short {
        Size::Short
    } else {
        Size::Long
    };
    let seed = arguments.seed.unwrap_or_else(any_seed);
    let nodes = match arguments.nodes.as_str() {
        "3" => Nodes::Three,
        _ => Nodes::One,
    };
    if arguments.order {
        let kind = if arguments.one_process {
            order::Kind::OneProcess
        } else {
            order::Kind::Programs(nodes)
        };
        return order::run(kind, arguments.events, seed).await;
    }
    if arguments.lanes {
        let file = arguments.write.as_deref();
        return lanes::run(nodes, arguments.kills.into(), seed, file).await;
    }
    let chosen = chosen(&arguments.row, size)?;
    let progress = Progress::of(chosen.len());
    let mut report = Report::new(size, seed);
    for nodes in [Nodes::One, Nodes::Three] {
        let mut rows = chosen.iter().filter(|row| row.nodes == nodes).peekable();
        if rows.peek().is_none() {
            continue;
        }
        progress.says("starting RabbitMQ, MongoDB and the programs");
        let mut stage = Stage::set(nodes).await?;
        report.played_on(&stage).await?;
        // A missing file or part fails before the rows.
        written(arguments, &report)?;
        let mut before = None;
        for row in rows {
            progress.begins(row);
            let result = play(&mut stage, row, size, seed, &mut before).await?;
            progress.ended(&result);
            report.add(result);
        }
    }
    println!("\n{}", report.markdown());
    if let Some((path, text)) = written(arguments, &report)? {
        std::fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    let bad = report.bad_rows();
    ensure!(
        bad.is_empty(),
        "failed rows: {} (seed {seed})",
        bad.join(", ")
    );
    Ok(())
}

/// Returns the file of `--write`, and its text with the results so far.
fn written<'a>(
    arguments: &'a Arguments,
    report: &Report,
) -> anyhow::Result<Option<(&'a Path, String)>> {
    let Some(path) = &arguments.write else {
        return Ok(None);
    };
    let text = document::filled(path, report.series(), &report.markdown())?;
    Ok(Some((path, text)))
}

/// Returns the rows to run. The first row on each broker always runs with others, as their
/// baseline for health. Rows on three nodes, which are always of the newer broker, run with
/// the other one only if they are named.
fn chosen(names: &[String], size: Size) -> anyhow::Result<Vec<&'static Row>> {
    for name in names {
        if !rows::all().any(|row| row.name == name) {
            bail!("unknown row {name}; --list lists all rows");
        }
    }
    let is_chosen = |row: &Row| {
        if names.is_empty() {
            row.is_in(size) && (row.nodes == Nodes::One || rabbitmq::is_of_clusters())
        } else {
            names.iter().any(|name| name == row.name)
        }
    };
    let mut chosen = Vec::new();
    for nodes in [Nodes::One, Nodes::Three] {
        let of_broker = rows::all().filter(|row| row.nodes == nodes);
        let mut rows = of_broker.clone().filter(|row| is_chosen(row)).peekable();
        if rows.peek().is_some() {
            let baseline = of_broker.take(1).filter(|row| !is_chosen(row));
            chosen.extend(baseline.chain(rows));
        }
    }
    Ok(chosen)
}

/// Runs a row to its end. Returns an error only for faults of the test environment; faults of the
/// row are in its result.
async fn play(
    stage: &mut Stage,
    row: &'static Row,
    size: Size,
    seed: u64,
    before: &mut Option<Health>,
) -> anyhow::Result<RowResult> {
    let began = Instant::now();
    let mut act = Act::new(stage, row.name, size, seed);
    let played = AssertUnwindSafe(async {
        (row.play)(&mut act).await?;
        act.all_done().await
    });
    // The test harness panics on failure.
    let played = played
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(in_words(&*panic)));
    if played.is_err() {
        // Repair the system first, so that only events that are really lost count as lost.
        act.stage.brokers.repair().await?;
        act.stage.restore().await?;
        let _its_error_is_told = act.all_done().await;
    }
    let of_order = match act.ordered_done().await {
        Ok(fault) => fault,
        Err(error) => Some(format!("{error:#}")),
    };
    let mut result = RowResult::of(row, &act, oracle::classify(&act.evidence().await?));
    let of_row = played.err().map(|error| format!("{error:#}"));
    result.faults.extend(of_row.into_iter().chain(of_order));
    if let Err(missed) = act.verify().await {
        result.faults.push(format!("{missed:#}"));
    }
    act.stage.restore().await?;
    let health = Health::at_rest(act.stage, before.as_ref()).await?;
    match before {
        Some(before) => result.faults.extend(before.update(&health)),
        None => *before = Some(health),
    }
    act.sweep().await?;
    result.took = began.elapsed();
    Ok(result)
}

fn in_words(panic: &(dyn Any + Send)) -> anyhow::Error {
    let words = panic.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
    anyhow!("{}", words.unwrap_or("panic without a message"))
}

#[expect(clippy::disallowed_methods, reason = "a different seed for every run")]
fn any_seed() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.unwrap_or_default().as_secs()
}
