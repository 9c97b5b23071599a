//! `wahook`: the command line for events.

use clap::{CommandFactory, Parser};
use std::process::ExitCode;

/// Sends events to a producer and shows what becomes of them.
#[derive(Parser)]
#[command(name = "wahook", version, after_help = wahook_cli::SETTINGS)]
struct Arguments {
    #[command(subcommand)]
    command: wahook_cli::Command,
}

fn main() -> ExitCode {
    wahook_cli::run(Arguments::parse().command, Arguments::command)
}
