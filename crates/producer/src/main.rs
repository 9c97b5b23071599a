//! `wahook-producer`: takes WhatsApp events over HTTP and publishes them to
//! RabbitMQ.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use wahook_producer::ProducerSettings;
use wahook_runtime::{
    health,
    program::{self, Program},
};

/// Takes WhatsApp events over HTTP and publishes them to RabbitMQ.
///
/// POST one event (application/json) or a batch (application/x-ndjson) to
/// /v1/events; the answer 202 comes after the broker's confirm. GET
/// /openapi.json describes it all.
#[derive(Parser)]
#[command(name = "wahook-producer", version, after_help = SETTINGS)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

/// Without one, events are taken.
#[derive(Subcommand)]
enum Command {
    /// Ask the program that runs here whether it is alive; exit status 0 or 1
    ///
    /// For container health checks. PRODUCER_LISTEN says where it listens. Liveness
    /// depends on nothing else: whoever restarts on a failed check must not
    /// restart it because the broker is away.
    Health {
        /// Ask instead whether it can do its work right now
        #[arg(long)]
        ready: bool,
    },
}

const SETTINGS: &str = "\
Settings (environment, or .env in the working directory; NAME_FILE reads NAME from a file):
  AMQP_URL                the broker, amqp://user:password@host:5672/%2f (needed)
  PRODUCER_LISTEN         address and port [127.0.0.1:8080]
  PRODUCER_TOKEN          bearer token, or two with a comma between (needed unless on loopback)
  PRODUCER_MAX_BODY_BYTES largest request body, also unpacked [1048576]
  PRODUCER_VALIDATION     lenient or strict [lenient]
  SHUTDOWN_GRACE          seconds that a stop may take [40]
  LOG_FORMAT              text or json [text]
  RUST_LOG                log filter [info,lapin=off]";

fn main() -> ExitCode {
    match Arguments::parse().command {
        None => program::start(Program {
            name: "wahook-producer",
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
