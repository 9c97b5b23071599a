//! `wahook-consumer`: delivers events from RabbitMQ to the webhook.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use wahook_consumer::{ConsumerSettings, dead, reconcile};
use wahook_runtime::{
    health,
    program::{self, Program},
};

/// Takes events from RabbitMQ and delivers them to the webhook: signed,
/// retried, and logged in MongoDB.
#[derive(Parser)]
#[command(name = "wahook-consumer", version, after_help = SETTINGS)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

/// Without one, events are delivered.
#[derive(Subcommand)]
enum Command {
    /// Look through the dead letters, send them again, or remove them
    ///
    /// AMQP_URL says where the broker is.
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// Verify that everything that was accepted is delivered, failed, retrying or queued
    ///
    /// AMQP_URL and MONGODB_URI (MONGODB_DATABASE) say where broker and log are.
    /// The exit status is 0 when it adds up, 1 when it does not, 2 when that
    /// can't be told.
    #[command(visible_alias = "verify")]
    Reconcile(reconcile::ReconcileArguments),
    /// Ask the program that runs here whether it is alive; exit status 0 or 1
    ///
    /// For container health checks. CONSUMER_LISTEN says where it listens. Liveness
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
  WEBHOOK_URL             where events are delivered to (needed, or WEBHOOK_ENDPOINTS)
  WEBHOOK_ENDPOINTS       a TOML file of several endpoints; SIGHUP reads it again
  WEBHOOK_CIRCUIT         on or off: pause an endpoint that is down [on]
  WEBHOOK_ALLOW_HTTP      allow plain http:// beyond loopback [false]
  WEBHOOK_BLOCK_PRIVATE   call public addresses only [false]
  WEBHOOK_SECRET          signs every request
  WEBHOOK_SECRET_PREVIOUS signs beside it while receivers change over
  WEBHOOK_RETRY_ATTEMPTS  retries after the first attempt, 0 to 10 [3]
  WEBHOOK_RETRY_DELAY     milliseconds before the first retry, doubled for each next [5000]
  WEBHOOK_TIMEOUT         milliseconds that a request may take with its answer [30000]
  WEBHOOK_CONCURRENCY     requests in flight at once [128]
  MONGODB_URI             the delivery log (needed)
  MONGODB_DATABASE        its database [whatsapp-api]
  LOG_RETENTION_DAYS      days after which log entries are removed [never]
  CONSUMER_LISTEN         address and port of /livez, /readyz and /metrics [127.0.0.1:9091]
  SHUTDOWN_GRACE          seconds that a stop may take [40]
  LOG_FORMAT              text or json [text]
  RUST_LOG                log filter [info,lapin=off]";

fn main() -> ExitCode {
    match Arguments::parse().command {
        None => program::start(Program {
            name: "wahook-consumer",
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
