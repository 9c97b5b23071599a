//! `wahook-producer`: accepts WhatsApp events over HTTP and publishes them to
//! RabbitMQ.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use wahook_producer::ProducerSettings;
use wahook_runtime::{
    health,
    program::{self, Program},
};

/// Accept WhatsApp events over HTTP and publish them to RabbitMQ
///
/// POST one event (application/json) or a batch (application/x-ndjson) to
/// /v1/events; the answer 202 follows the broker's confirm. GET /openapi.json
/// returns the API description.
#[derive(Parser)]
#[command(name = "wahook-producer", version, args_conflicts_with_subcommands = true, after_help = SETTINGS)]
struct Arguments {
    /// Print the effective settings, one line each, secrets redacted, and exit
    #[arg(long)]
    print_config: bool,
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

const SETTINGS: &str = "\
Settings (environment, or .env in the working directory; NAME_FILE reads NAME from a file):
  AMQP_URL                the broker, amqp://user:password@host:5672/%2f (required)
  PRODUCER_LISTEN         address and port [127.0.0.1:8080]
  PRODUCER_TOKEN          bearer token, or two separated by a comma (required unless on loopback)
  PRODUCER_MAX_BODY_BYTES largest request body, also decompressed [1048576]
  PRODUCER_VALIDATION     lenient or strict [lenient]
  SHUTDOWN_GRACE          seconds that a stop may take [40]
  LOG_FORMAT              text or json [text]
  RUST_LOG                log filter [info,lapin=off]";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        None => program::start(Program {
            name: "wahook-producer",
            print_config: arguments.print_config,
            prefixes: &["PRODUCER_"],
            read: ProducerSettings::read,
            run: wahook_producer::run,
        }),
        Some(Command::Health { ready }) => program::run_command(
            "wahook-producer health",
            |settings| Some(ProducerSettings::read_listen(settings)),
            |listen, _| health::answer(listen, ready),
        ),
    }
}
