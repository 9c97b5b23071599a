//! `wahook-receiver`: test receiver with a web page.

use std::process::ExitCode;

use clap::Parser;
use wahook_receiver::{PROGRAM_SETTINGS, ReceiverSettings};
use wahook_runtime::{
    program::{self, Program, ProgramArguments},
    settings::help::help,
};

/// Receive webhooks and show them on a web page
///
/// Point WEBHOOK_URL at http://127.0.0.1:4000/any/path and open http://127.0.0.1:4000/ in a
/// browser. The page shows each delivery with its headers, its body, and whether its
/// signatures verify or why not. Its buttons make the next answers fail or wait. The latest
/// 1,000 deliveries are kept in memory, 64 MiB at most.
#[derive(Parser)]
#[command(name = "wahook-receiver", version, after_help = help(PROGRAM_SETTINGS))]
struct Arguments {
    #[command(flatten)]
    program: ProgramArguments,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::start(Program {
        name: "wahook-receiver",
        arguments: arguments.program,
        prefixes: &["RECEIVER_"],
        read: ReceiverSettings::read,
        run: wahook_receiver::run,
    })
}
