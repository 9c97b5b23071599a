//! `wahook-consumer`: delivers events from RabbitMQ to webhooks.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use wahook_admin::{dead, reconcile};
use wahook_consumer::ConsumerSettings;
use wahook_runtime::{
    health,
    program::{self, Program},
};

/// Deliver events from RabbitMQ to webhooks: signed, retried, and logged in MongoDB
#[derive(Parser)]
#[command(name = "wahook-consumer", version, args_conflicts_with_subcommands = true, after_help = SETTINGS)]
struct Arguments {
    /// Print the effective settings, one line each, secrets redacted, and exit
    #[arg(long)]
    print_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// List, redrive or discard dead letters
    ///
    /// AMQP_URL is the broker's address.
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// Check that every accepted event is delivered, failed, retrying or queued
    ///
    /// AMQP_URL and MONGODB_URI (MONGODB_DATABASE) are the addresses of broker and log.
    /// Exit status: 0 when every delivery is accounted for, 1 when some are not,
    /// 2 when that could not be determined.
    #[command(visible_alias = "verify")]
    Reconcile(reconcile::ReconcileArguments),
    /// Check whether the local consumer is alive; exit status 0 or 1
    ///
    /// For container health checks. CONSUMER_LISTEN is the consumer's address. Liveness
    /// depends on nothing else, so an unreachable broker does not restart the container.
    Health {
        /// Check readiness instead of liveness
        #[arg(long)]
        ready: bool,
    },
}

const SETTINGS: &str = "\
Settings (environment, or .env in the working directory; NAME_FILE reads NAME from a file):
  AMQP_URL                broker address, amqp://user:password@host:5672/%2f (required)
  WEBHOOK_URL             URL that receives the events (required, or WEBHOOK_ENDPOINTS)
  WEBHOOK_ENDPOINTS       TOML file of several endpoints; SIGHUP reloads it
  WEBHOOK_CIRCUIT         on or off: pause an endpoint that is down [on]
  WEBHOOK_ALLOW_HTTP      allow plain http:// beyond loopback [false]
  WEBHOOK_BLOCK_PRIVATE   call public addresses only [false]
  WEBHOOK_SECRET          signs every request
  WEBHOOK_SECRET_PREVIOUS signs too, while receivers change to the new secret
  WEBHOOK_RETRY_ATTEMPTS  retries after the first attempt, 0 to 10 [3]
  WEBHOOK_RETRY_DELAY     milliseconds before the first retry, doubled each time [5000]
  WEBHOOK_TIMEOUT         milliseconds for a request and its whole response [30000]
  WEBHOOK_CONCURRENCY     requests in flight at once [128]
  MONGODB_URI             MongoDB server of the delivery log (required)
  MONGODB_DATABASE        database of the delivery log [whatsapp-api]
  LOG_RETENTION_DAYS      days after which log entries are removed [never]
  CONSUMER_LISTEN         address and port of /livez, /readyz and /metrics [127.0.0.1:9091]
  SHUTDOWN_GRACE          seconds a shutdown may take [40]
  LOG_FORMAT              text or json [text]
  RUST_LOG                log filter [info,lapin=off]";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        None => program::start(Program {
            name: "wahook-consumer",
            print_config: arguments.print_config,
            prefixes: &["CONSUMER_", "WEBHOOK_", "MONGODB_"],
            read: ConsumerSettings::read,
            run: wahook_consumer::run,
        }),
        Some(Command::Dead(command)) => program::run_command(
            "wahook-consumer dead",
            dead::read_settings,
            |broker, shutdown| dead::run(command, broker, shutdown),
        ),
        Some(Command::Reconcile(arguments)) => program::run_check(
            "wahook-consumer reconcile",
            reconcile::ReconcileSettings::read,
            |settings, shutdown| reconcile::run(arguments, settings, shutdown),
        ),
        Some(Command::Health { ready }) => program::run_command(
            "wahook-consumer health",
            |settings| Some(ConsumerSettings::read_listen(settings)),
            |listen, _| health::answer(listen, ready),
        ),
    }
}
