//! `wahook`: the whole system in one process, on one file.

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;
use wahook::{FileLog, StandaloneSettings, export};
use wahook_consumer::{ConsumerSettings, dead};
use wahook_producer::ProducerSettings;
use wahook_runtime::{
    health,
    program::{self, Program},
};

/// Takes WhatsApp events over HTTP and delivers them to the webhook: signed, retried and
/// logged, in one process, on one SQLite file.
///
/// For one machine. Where that is outgrown, wahook-producer and wahook-consumer do the same
/// with the same settings on RabbitMQ and MongoDB.
#[derive(Parser)]
#[command(name = "wahook", version, after_help = SETTINGS)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

/// Without one, events are taken and delivered.
#[derive(Subcommand)]
enum Command {
    /// Look through the dead letters, send them again, or remove them
    ///
    /// WAHOOK_DATA says in which file, which may be in use by a wahook that runs. Letters
    /// that are sent again go out when one runs.
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// Move what is queued to RabbitMQ and copy the log to MongoDB, to go on with the pair
    ///
    /// WAHOOK_DATA says from which file, which no wahook may be running on. The other
    /// settings are those that wahook-consumer will have. It can be killed at any moment:
    /// the same command goes on where it was. The exit status is 0 when everything is where
    /// it belongs, 1 when something is left in the file, 2 when it did not come to the end.
    Export(export::ExportArguments),
    #[command(flatten)]
    Events(wahook_cli::Command),
    /// Ask the program that runs here whether it is alive; exit status 0 or 1
    ///
    /// For container health checks. PRODUCER_LISTEN and CONSUMER_LISTEN say where it listens.
    Health {
        /// Ask instead whether it can do its work right now
        #[arg(long)]
        ready: bool,
    },
}

const SETTINGS: &str = "\
Settings (environment, or .env in the working directory; NAME_FILE reads NAME from a file):
  WAHOOK_DATA             the file with all data [wahook.db]
  WEBHOOK_URL             where events are delivered to; without it and WEBHOOK_ENDPOINTS, to a
                          test receiver with a page to look at
  RECEIVER_ADDRESS        address and port of the test receiver [127.0.0.1:4000]
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
  LOG_RETENTION_DAYS      days after which log entries are removed [never]
  PRODUCER_LISTEN         address and port for events [127.0.0.1:8080]
  PRODUCER_TOKEN          bearer token, or two with a comma between (needed unless on loopback)
  PRODUCER_MAX_BODY_BYTES largest request body, also unpacked [1048576]
  PRODUCER_VALIDATION     lenient or strict [lenient]
  CONSUMER_LISTEN         address and port of /livez, /readyz and /metrics of the deliveries
                          [127.0.0.1:9091]
  SHUTDOWN_GRACE          seconds that a stop may take [40]
  LOG_FORMAT              text or json [text]
  RUST_LOG                log filter [info,lapin=off]

Of the commands:
  WAHOOK_URL              the producer, for send, import and samples [http://127.0.0.1:8080]
  WAHOOK_TOKEN            its token, where it wants one
  AMQP_URL                the broker of a pair, for export
  MONGODB_URI             the delivery log of a pair, for export, tail and stats (the last two
                          read WAHOOK_DATA without it)
  MONGODB_DATABASE        its database [whatsapp-api]";

fn main() -> ExitCode {
    match Arguments::parse().command {
        None => program::start(Program {
            name: "wahook",
            prefixes: &["WAHOOK_", "PRODUCER_", "CONSUMER_", "WEBHOOK_"],
            read: StandaloneSettings::read,
            run: wahook::run,
        }),
        Some(Command::Dead(command)) => program::run_command(
            "wahook dead",
            |settings| Some(StandaloneSettings::read_data(settings)),
            |data, shutdown| async move {
                let broker = wahook_embedded::visit(&data)?;
                dead::run(command, broker, shutdown).await
            },
        ),
        Some(Command::Export(arguments)) => program::run_check(
            "wahook export",
            |settings| arguments.read(settings),
            export::run,
        ),
        Some(Command::Events(command)) => wahook_cli::run::<FileLog>(command, Arguments::command),
        Some(Command::Health { ready }) => program::run_command(
            "wahook health",
            |settings| {
                let producer = ProducerSettings::read_listen(settings);
                Some((producer, ConsumerSettings::read_listen(settings)))
            },
            |(producer, consumer), _| async move {
                health::answer(producer, ready).await?;
                health::answer(consumer, ready).await
            },
        ),
    }
}
