//! `wahook`: producer, consumer and store in one process, on one file.

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;
use wahook::{FileLog, StandaloneSettings, export};
use wahook_admin::dead;
use wahook_consumer::ConsumerSettings;
use wahook_producer::ProducerSettings;
use wahook_runtime::{
    health,
    program::{self, Program},
};

/// Accept WhatsApp events over HTTP and deliver them to webhooks: signed, retried and logged
///
/// One process on one SQLite file, for a single machine. For more load, wahook-producer and
/// wahook-consumer do the same with the same settings on RabbitMQ and MongoDB.
#[derive(Parser)]
#[command(name = "wahook", version, args_conflicts_with_subcommands = true, after_help = SETTINGS)]
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
    /// WAHOOK_DATA is the data file; a running wahook may use it at the same time. Redriven
    /// events are delivered while wahook runs.
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// Move queued messages to RabbitMQ and copy the log to MongoDB
    ///
    /// WAHOOK_DATA is the data file; stop wahook first. The other settings are those of the
    /// future wahook-consumer. After an interruption the same command continues. Exit
    /// status: 0 when everything was exported, 1 when something is left in the file,
    /// 2 when the export did not finish.
    Export(export::ExportArguments),
    #[command(flatten)]
    Events(wahook_cli::Command),
    /// Check whether the local wahook is alive; exit status 0 or 1
    ///
    /// For container health checks. PRODUCER_LISTEN and CONSUMER_LISTEN are its addresses.
    Health {
        /// Check readiness instead of liveness
        #[arg(long)]
        ready: bool,
    },
}

const SETTINGS: &str = "\
Settings (environment, or .env in the working directory; NAME_FILE reads NAME from a file):
  WAHOOK_DATA             data file [wahook.db]
  WEBHOOK_URL             URL that receives the events; without it and WEBHOOK_ENDPOINTS, a test
                          receiver with a web page
  RECEIVER_ADDRESS        address and port of the test receiver [127.0.0.1:4000]
  WEBHOOK_ENDPOINTS       TOML file of several endpoints; SIGHUP reloads it
  WEBHOOK_CIRCUIT         on or off: pause an endpoint that is down [on]
  WEBHOOK_ALLOW_HTTP      allow plain http:// beyond loopback [false]
  WEBHOOK_BLOCK_PRIVATE   call public addresses only [false]
  WEBHOOK_SECRET          signs every request
  WEBHOOK_SECRET_PREVIOUS signs too, while receivers change to the new secret
  WEBHOOK_RETRY_ATTEMPTS  retries after the first attempt, 0 to 10 [3]
  WEBHOOK_RETRY_DELAY     milliseconds before the first retry, doubled for each further one [5000]
  WEBHOOK_TIMEOUT         milliseconds for a request and its whole response [30000]
  WEBHOOK_CONCURRENCY     requests in flight at once [128]
  LOG_RETENTION_DAYS      days after which log entries are removed [never]
  PRODUCER_LISTEN         address and port for events [127.0.0.1:8080]
  PRODUCER_TOKEN          bearer token, or two separated by a comma (required beyond loopback)
  PRODUCER_MAX_BODY_BYTES largest request body, also decompressed [1048576]
  PRODUCER_VALIDATION     lenient or strict [lenient]
  CONSUMER_LISTEN         address and port of /livez, /readyz and /metrics of the deliveries
                          [127.0.0.1:9091]
  SHUTDOWN_GRACE          seconds a shutdown may take [40]
  LOG_FORMAT              text or json [text]
  RUST_LOG                log filter [info,lapin=off]

Settings of the commands:
  WAHOOK_URL              producer for send, import and samples [http://127.0.0.1:8080]
  WAHOOK_TOKEN            bearer token of the producer, if it requires one
  AMQP_URL                broker address for export
  MONGODB_URI             MongoDB server for export, tail and stats (tail and stats read
                          WAHOOK_DATA without it)
  MONGODB_DATABASE        database of the delivery log [whatsapp-api]";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        None => program::start(Program {
            name: "wahook",
            print_config: arguments.print_config,
            prefixes: &["WAHOOK_", "PRODUCER_", "CONSUMER_", "WEBHOOK_"],
            read: StandaloneSettings::read,
            run: wahook::run,
        }),
        Some(Command::Dead(command)) => program::run_command(
            "wahook dead",
            |settings| Some(StandaloneSettings::read_data(settings)),
            |data, shutdown| async move {
                let broker = wahook_embedded::open_dead_letters(&data)?;
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
