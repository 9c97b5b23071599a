//! `wahook-receiver`: a test receiver with a page to look at.

use std::process::ExitCode;

use clap::Parser;
use wahook_receiver::ReceiverSettings;
use wahook_runtime::program::{self, Program};

/// Receives webhooks and shows them on a page.
///
/// Point WEBHOOK_URL at http://127.0.0.1:4000/any/path and open
/// http://127.0.0.1:4000/ in a browser: each delivery with its headers, its
/// body, whether its signatures verify, and why not. The page also makes the
/// next answers fail or wait. The latest 1,000 deliveries are remembered, 64
/// MiB at most, until the program ends.
#[derive(Parser)]
#[command(name = "wahook-receiver", version, after_help = SETTINGS)]
struct Arguments {}

const SETTINGS: &str = "\
Settings (environment, or .env in the working directory; NAME_FILE reads NAME from a file):
  RECEIVER_ADDRESS  address and port [127.0.0.1:4000]; on any other than loopback, whoever
                    reaches it sees all deliveries and can change the answers
  WEBHOOK_SECRET    the sender's secret; without it signatures are not checked
  SHUTDOWN_GRACE    seconds that a stop may take [40]
  LOG_FORMAT        text or json [text]
  RUST_LOG          log filter [info,lapin=off]";

fn main() -> ExitCode {
    Arguments::parse();
    program::start(Program {
        name: "wahook-receiver",
        prefixes: &["RECEIVER_"],
        read: ReceiverSettings::read,
        run: wahook_receiver::run,
    })
}
