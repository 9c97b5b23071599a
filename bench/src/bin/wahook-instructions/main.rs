//! `wahook-instructions`: how many instructions does one event cost, and are they still as
//! many as was committed? `make instructions` builds what it needs.
//!
//! Time differs from run to run and from machine to machine, instructions hardly do. Each path
//! runs under valgrind's callgrind, once with some events and once with twice as many; what
//! the second costs more, by event, is the path's own, without start and end.
//!
//! A figure belongs to a compiler, to this build's profile and to the libraries in
//! `Cargo.lock`: whoever changes one of them writes the figures anew in the same commit.

mod count;
mod figures;
mod path;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};

use figures::{Figures, TOLERANCE_PERCENT, Verdict};
use path::Path;

/// Counts the instructions that one event costs and compares them with the committed figures.
#[derive(Debug, Parser)]
#[command(name = "wahook-instructions", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Count, compare, and fail where a figure is off
    Check {
        /// The committed figures
        #[arg(value_name = "FILE")]
        figures: PathBuf,
    },
    /// Count, and write the figures anew
    Renew {
        /// Where to
        #[arg(value_name = "FILE")]
        figures: PathBuf,
    },
    /// Only go a path so many times, as valgrind is asked to
    Run {
        path: Path,
        /// Events
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
    println!(
        "{:<8} {:>12} {:>12}",
        "an event", "committed", "instructions"
    );
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
            "{off}: more than {TOLERANCE_PERCENT} % off, but the figures are those of {}, and this is {}. \
             With the first they must hold; a change of the compiler writes them anew: make instructions-renew",
            committed.compiler,
            counted.compiler,
        );
    }
    bail!(
        "{off}: more than {TOLERANCE_PERCENT} % off. Where an event has become dearer, find out why \
         (docs/hot-path.md says how); where that is meant, or it has become cheaper, commit the new \
         figures: make instructions-renew"
    )
}
