//! `wahook-producer`: accepts WhatsApp events over HTTP and publishes them to
//! RabbitMQ.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use wahook_producer::{PROGRAM_SETTINGS, ProducerSettings};
use wahook_runtime::{
    health,
    program::{self, Program, ProgramArguments},
    settings::help::help,
};

/// Accept WhatsApp events over HTTP and publish them to RabbitMQ
///
/// POST one event (application/json) or a batch (application/x-ndjson) to
/// /v1/events; the answer 202 follows the broker's confirm. GET /openapi.json
/// returns the API description.
#[derive(Parser)]
#[command(name = "wahook-producer", version, args_conflicts_with_subcommands = true, after_help = help(PROGRAM_SETTINGS))]
struct Arguments {
    #[command(flatten)]
    program: ProgramArguments,
    #[command(subcommand)]
    command: Option<Command>,
}

/// Commands; without one, the producer runs.
#[derive(Subcommand)]
enum Command {
    /// Check the running program; exit status 0 if it is alive, else 1
    ///
    /// For container health checks. PRODUCER_LISTEN is its address. Liveness
    /// depends on nothing else, so that an unavailable broker causes no
    /// restart.
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
            name: "wahook-producer",
            arguments: arguments.program,
            prefixes: &["PRODUCER_"],
            read: ProducerSettings::read,
            run: wahook_producer::run,
        }),
        Some(Command::Health { ready }) => program::run_command(
            "wahook-producer health",
            ProducerSettings::read_listen,
            |listen, _| health::answer(listen, ready),
        ),
    }
}
