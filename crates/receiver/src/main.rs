//! `wahook-receiver`: test receiver with a web page.

use std::process::ExitCode;

use clap::Parser;
use wahook_receiver::ReceiverSettings;
use wahook_runtime::program::{self, Program};

/// Receive webhooks and show them on a web page
///
/// Point WEBHOOK_URL at http://127.0.0.1:4000/any/path and open http://127.0.0.1:4000/ in a
/// browser. The page shows each delivery with its headers, its body, and whether its
/// signatures verify or why not. Its buttons make the next answers fail or wait. The latest
/// 1,000 deliveries are kept in memory, 64 MiB at most.
#[derive(Parser)]
#[command(name = "wahook-receiver", version, after_help = SETTINGS)]
struct Arguments {
    /// Print the effective settings, one line each, secrets redacted, and exit
    #[arg(long)]
    print_config: bool,
}

const SETTINGS: &str = "\
Settings (environment, or .env in the working directory; NAME_FILE reads NAME from a file):
  RECEIVER_ADDRESS  address and port [127.0.0.1:4000]; beyond loopback, every client that
                    reaches it can see all deliveries and change the answers
  WEBHOOK_SECRET    the sender's secret; without it signatures are not checked
  SHUTDOWN_GRACE    seconds a shutdown may take [40]
  LOG_FORMAT        text or json [text]
  RUST_LOG          log filter [info,lapin=off]";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::start(Program {
        name: "wahook-receiver",
        print_config: arguments.print_config,
        prefixes: &["RECEIVER_"],
        read: ReceiverSettings::read,
        run: wahook_receiver::run,
    })
}
