//! Commands for events: `send`, `import`, `samples`, `tail` and `stats`.
//!
//! A program includes [`Command`] in its command line and calls [`run`]. Events are sent
//! to the producer over HTTP. Their deliveries are read from a delivery log, in MongoDB or
//! the program's own.

mod answer;
mod import;
mod log;
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

pub use import::ImportArguments;
pub use log::{NoMongoDb, OpenLog};
pub use samples::SamplesArguments;
pub use send::SendArguments;
pub use settings::SETTINGS;
pub use shell::{CompletionsArguments, ManArguments};
pub use stats::StatsArguments;
pub use tail::TailArguments;

/// Commands for events, shell completions and manual pages.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send one event and print its id
    ///
    /// Exit status: 0 when it was accepted, 1 when it was rejected, 2 when this is unknown:
    /// no answer, or a temporary error.
    Send(SendArguments),
    /// Send all events of a file, one JSON object per line
    ///
    /// After an interruption, also a kill, the same command continues. Exit status: 0 when
    /// all lines were accepted, 1 when some were rejected, 2 when the import did not finish.
    Import(ImportArguments),
    /// Send a documented sample of each kind of event
    ///
    /// Exit status: the highest one that `send` would return for any of the samples.
    Samples(SamplesArguments),
    /// Show deliveries as they end
    ///
    /// Reads MongoDB if MONGODB_URI (and MONGODB_DATABASE) is set, else the file WAHOOK_DATA.
    /// MongoDB must be a replica set; a single server can be one.
    Tail(TailArguments),
    /// Count deliveries, successes, and successes at the first attempt
    ///
    /// Reads MongoDB if MONGODB_URI (and MONGODB_DATABASE) is set, else the file WAHOOK_DATA.
    Stats(StatsArguments),
    /// Print the completion script for a shell
    Completions(CompletionsArguments),
    /// Print the manual page, or write those of all commands
    Man(ManArguments),
}

/// Runs a command. `program` returns the complete command line, of which `command` is a
/// part. `own_log` reads the location of the program's own log; `None` only after a fault.
pub fn run(
    command: Command,
    program: impl FnOnce() -> clap::Command,
    own_log: fn(&mut Settings) -> Option<OpenLog>,
) -> ExitCode {
    let log = |settings: &mut Settings| log::read(settings, own_log);
    match command {
        Command::Send(arguments) => {
            let options = arguments.producer.clone();
            check("wahook send", producer::access(options), |producer, _| {
                send::run(arguments, producer)
            })
        }
        Command::Import(arguments) => {
            let options = arguments.producer.clone();
            check(
                "wahook import",
                producer::access(options),
                |producer, stop| import::run(arguments, producer, stop),
            )
        }
        Command::Samples(arguments) => {
            let options = arguments.producer.clone();
            check(
                "wahook samples",
                producer::access(options),
                |producer, stop| samples::run(arguments, producer, stop),
            )
        }
        Command::Tail(arguments) => check("wahook tail", log, |log, stop| async move {
            tail::run(arguments, &*log.await?, stop).await
        }),
        Command::Stats(arguments) => check("wahook stats", log, |log, _| async move {
            stats::run(arguments, &*log.await?).await
        }),
        Command::Completions(arguments) => shell::completions(arguments, program()),
        Command::Man(arguments) => shell::man(arguments, program()),
    }
}

/// Runs a command with exit status 0 for yes, 1 for no, 2 if undetermined. A reader that
/// closes the pipe (`| head`) is not a failure.
fn check<R, S, F>(name: &str, read: impl FnOnce(&mut Settings) -> Option<R>, run: S) -> ExitCode
where
    S: FnOnce(R, Shutdown) -> F,
    F: Future<Output = anyhow::Result<bool>>,
{
    program::run_check(name, read, |read, stop| async move {
        match run(read, stop).await {
            Err(error) if is_broken_pipe(&error) => Ok(true),
            ran => ran,
        }
    })
}

/// Returns true if the reader has closed the pipe.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<io::Error>();
    cause.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
