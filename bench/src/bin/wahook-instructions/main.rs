//! `wahook-instructions`: counts the instructions per event and compares them with the
//! committed figures. `make instructions` builds the required programs.
//!
//! Times differ between runs and machines; instruction counts hardly do. Each path runs under
//! valgrind's callgrind, once with some events and once with twice as many. The difference,
//! per event, is the cost of the path without start and end.
//!
//! Figures depend on the compiler, the build profile and the libraries in `Cargo.lock`. A
//! change of one of them includes new figures in the same commit.

mod count;
mod figures;
mod path;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};

use figures::{Figures, TOLERANCE_PERCENT, Verdict};
use path::Path;

/// Count the instructions per event and compare them with the committed figures
#[derive(Debug, Parser)]
#[command(name = "wahook-instructions", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Count, compare, and fail if a figure deviates
    Check {
        /// File of committed figures
        #[arg(value_name = "FILE")]
        figures: PathBuf,
    },
    /// Count and rewrite the figures
    Renew {
        /// File to write
        #[arg(value_name = "FILE")]
        figures: PathBuf,
    },
    /// Run one path only, for use under valgrind
    Run {
        path: Path,
        /// Number of events
        events: u32,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wahook-instructions: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run { path, events } => path.run(events),
        Command::Check { figures } => {
            let text = std::fs::read_to_string(&figures);
            let text = text.with_context(|| figures.display().to_string())?;
            let committed = Figures::parse(&text).with_context(|| figures.display().to_string())?;
            check(&committed, &counted()?)
        }
        Command::Renew { figures } => {
            let text = counted()?.to_string();
            print!("{text}");
            std::fs::write(&figures, text).with_context(|| figures.display().to_string())
        }
    }
}

fn counted() -> anyhow::Result<Figures> {
    let mut figures = Figures::of(count::compiler()?);
    for path in Path::ALL {
        figures.put(path, count::by_event(path)?);
    }
    Ok(figures)
}

fn check(committed: &Figures, counted: &Figures) -> anyhow::Result<()> {
    println!("{:<8} {:>12} {:>12}", "path", "committed", "counted");
    let mut off = Vec::new();
    for path in Path::ALL {
        let before = committed.get(path)?;
        let now = counted.get(path)?;
        let verdict = Verdict::of(before, now);
        println!("{:<8} {before:>12} {now:>12}  {verdict}", path.name());
        if verdict != Verdict::Held {
            off.push(path.name());
        }
    }
    if off.is_empty() {
        return Ok(());
    }
    let off = off.join(", ");
    if committed.compiler != counted.compiler {
        bail!(
            "{off}: deviation above {TOLERANCE_PERCENT} %, but the figures belong to {} and the compiler here is {}; \
             check with the first, or run make instructions-renew after a change of the compiler",
            committed.compiler,
            counted.compiler,
        );
    }
    bail!(
        "{off}: deviation above {TOLERANCE_PERCENT} %; if an event costs more, find the cause \
         (see docs/performance/hot-path.md); if that is intended, or it costs less, commit new \
         figures with make instructions-renew"
    )
}
