//! `wahook-console`: page and API for operators, on RabbitMQ and MongoDB.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use wahook_console::{ConsoleSettings, DistributedSettings, PROGRAM_SETTINGS};
use wahook_runtime::{
    health,
    program::{self, Program, ProgramArguments},
    settings::help::help,
};

/// Show every delivery, why it failed, and send it again: in the browser and by an API
///
/// Reads the log in MongoDB and the queues in RabbitMQ. Deliveries do not depend on it.
/// GET /api/v1/openapi.json returns the API description.
#[derive(Parser)]
#[command(name = "wahook-console", version, args_conflicts_with_subcommands = true, after_help = help(PROGRAM_SETTINGS))]
struct Arguments {
    #[command(flatten)]
    program: ProgramArguments,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Check the running program; exit status 0 if it is alive, else 1
    ///
    /// For container health checks. CONSOLE_LISTEN is its address.
    Health {
        /// Check readiness instead of liveness
        #[arg(long)]
        ready: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        None => program::start(Program {
            name: "wahook-console",
            arguments: arguments.program,
            prefixes: &["CONSOLE_", "MONGODB_"],
            read: DistributedSettings::read,
            run: wahook_console::run,
        }),
        Some(Command::Health { ready }) => program::run_command(
            "wahook-console health",
            ConsoleSettings::read_listen,
            |listen, _| health::answer(listen, ready),
        ),
    }
}
