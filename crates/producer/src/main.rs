//! `wahook-producer`: takes WhatsApp events over HTTP and publishes them to
//! RabbitMQ.

use clap::Parser;
use std::process::ExitCode;
use wahook_producer::ProducerSettings;
use wahook_service::program::{self, Program};

/// Takes WhatsApp events over HTTP and publishes them to RabbitMQ.
///
/// POST one event (application/json) or a batch (application/x-ndjson) to
/// /v1/events; the answer 202 comes after the broker's confirm. GET
/// /openapi.json describes it all.
#[derive(Parser)]
#[command(name = "wahook-producer", version, after_help = SETTINGS)]
struct Arguments {}

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
    Arguments::parse();
    program::start(Program {
        name: "wahook-producer",
        prefixes: &["PRODUCER_"],
        read: ProducerSettings::read,
        run: wahook_producer::run,
    })
}
