//! What a person types about events: send one, import many, watch them end,
//! count them.
//!
//! [`Command`] goes into whichever program carries it, [`run`] does it. Events go
//! to the producer over HTTP, like everybody's; what became of them is read
//! through [`Deliveries`], behind which there is a delivery log.

mod answer;
mod deliveries;
mod import;
mod producer;
mod samples;
mod send;
mod settings;
mod shell;
mod stats;
mod tail;

use clap::Subcommand;
use std::{future::Future, io, process::ExitCode};
use wahook_runtime::{Settings, Shutdown, program};

pub use deliveries::{Deliveries, Ended, Follow, OwnLog};
pub use import::ImportArguments;
pub use samples::SamplesArguments;
pub use send::SendArguments;
pub use shell::{CompletionsArguments, ManArguments};
pub use stats::StatsArguments;
pub use tail::TailArguments;

use settings::WhichLog;

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send one event and print its id
    ///
    /// The exit status is 0 when it was taken, 1 when it was refused, 2 when
    /// that can't be told: nobody answered, or not now.
    Send(SendArguments),
    /// Send all events of a file, one JSON object a line; go on where it stopped
    ///
    /// It can be stopped or killed at any moment: the same command goes on where
    /// it was. The exit status is 0 when all lines were taken, 1 when some were
    /// refused, 2 when it did not come to the end.
    Import(ImportArguments),
    /// Send a documented sample of each kind of event
    ///
    /// The exit status is that of `send`, the worst of all.
    Samples(SamplesArguments),
    /// Show deliveries as they end
    ///
    /// WAHOOK_DATA says in which file, or MONGODB_URI (MONGODB_DATABASE) where the log of a
    /// pair is; that must be a replica set, which a single server can be.
    Tail(TailArguments),
    /// Count deliveries: how many succeed, and how many at the first attempt
    ///
    /// WAHOOK_DATA says in which file, or MONGODB_URI (MONGODB_DATABASE) where the log of a
    /// pair is.
    Stats(StatsArguments),
    /// Print what makes a shell complete commands and options
    Completions(CompletionsArguments),
    /// Print the manual page, or write those of all commands
    Man(ManArguments),
}

/// Does it. `program` is the whole command line of which `command` is a part, `O` the log
/// that it keeps itself.
pub fn run<O: OwnLog>(command: Command, program: impl FnOnce() -> clap::Command) -> ExitCode {
    match command {
        Command::Send(arguments) => {
            let to = arguments.to.clone();
            check("wahook send", producer::reader(to), |producer, _| {
                send::run(arguments, producer)
            })
        }
        Command::Import(arguments) => {
            let to = arguments.to.clone();
            check("wahook import", producer::reader(to), |producer, stop| {
                import::run(arguments, producer, stop)
            })
        }
        Command::Samples(arguments) => {
            let to = arguments.to.clone();
            check("wahook samples", producer::reader(to), |producer, stop| {
                samples::run(arguments, producer, stop)
            })
        }
        Command::Tail(arguments) => {
            check("wahook tail", WhichLog::<O>::read, |log, stop| async move {
                match log {
                    WhichLog::Mongo(log) => tail::run(arguments, &log.open().await?, stop).await,
                    WhichLog::Own(log) => tail::run(arguments, &log.open()?, stop).await,
                }
            })
        }
        Command::Stats(arguments) => {
            check("wahook stats", WhichLog::<O>::read, |log, _| async move {
                match log {
                    WhichLog::Mongo(log) => stats::run(arguments, &log.open().await?).await,
                    WhichLog::Own(log) => stats::run(arguments, &log.open()?).await,
                }
            })
        }
        Command::Completions(arguments) => shell::completions(arguments, program()),
        Command::Man(arguments) => shell::man(arguments, program()),
    }
}

/// The exit status is 0 for yes, 1 for no, 2 where it can't be told. Whoever
/// reads the output and has read enough (`| head`) is no failure.
fn check<R, S, F>(name: &str, read: impl FnOnce(&mut Settings) -> Option<R>, run: S) -> ExitCode
where
    S: FnOnce(R, Shutdown) -> F,
    F: Future<Output = anyhow::Result<bool>>,
{
    program::run_check(name, read, |read, stop| async move {
        match run(read, stop).await {
            Err(error) if is_enough(&error) => Ok(true),
            ran => ran,
        }
    })
}

/// Of a pipe whose reader is gone.
fn is_enough(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
