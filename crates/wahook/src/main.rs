//! `wahook`: producer, consumer and store in one process, on one file.

use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;
use wahook::{COMMAND_SETTINGS, PROGRAM_SETTINGS, StandaloneSettings, check, export, own_log};
use wahook_admin::{dead, endpoints, erase, reconcile};
use wahook_consumer::DeliverySettings;
use wahook_producer::ProducerSettings;
use wahook_runtime::{
    health,
    program::{self, Program, ProgramArguments},
    settings::help,
};

/// Accept WhatsApp events over HTTP and deliver them to webhooks: signed, retried and logged
///
/// One process on one SQLite file, for a single machine. For more load, wahook-producer and
/// wahook-consumer do the same with the same settings on RabbitMQ and MongoDB.
#[derive(Parser)]
#[command(name = "wahook", version, args_conflicts_with_subcommands = true, after_help = settings())]
struct Arguments {
    #[command(flatten)]
    program: ProgramArguments,
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
    /// List, pause and resume endpoints, and move or drop the queued events of removed ones
    ///
    /// WAHOOK_DATA is the data file; a running wahook may use it at the same time. Configured are
    /// the endpoints of the wahook that runs or ran last.
    #[command(subcommand)]
    Endpoints(endpoints::EndpointsCommand),
    /// Check that every accepted event is delivered, failed, retrying or queued
    ///
    /// WAHOOK_DATA is the data file; a running wahook may use it at the same time.
    /// Exit status: 0 when every delivery is accounted for, 1 when some are not,
    /// 2 when that could not be determined.
    Reconcile(reconcile::ReconcileArguments),
    /// Remove the data of a person from log and dead letters
    ///
    /// Records keep id, event, endpoint, status and times. Dead letters are removed. Events that
    /// are queued are only counted. WAHOOK_DATA is the data file; a running wahook may use it at
    /// the same time.
    Erase(erase::EraseArguments),
    /// Move queued messages to RabbitMQ and copy the log to MongoDB
    ///
    /// WAHOOK_DATA is the data file; stop wahook first. The other settings are those of the
    /// future wahook-consumer. After an interruption the same command continues. Exit
    /// status: 0 when everything was exported, 1 when something is left in the file,
    /// 2 when the export did not finish.
    Export(export::ExportArguments),
    /// Check the data file for damage
    ///
    /// A running wahook may use the file at the same time. Exit status: 0 when the file is
    /// intact, 1 when it is damaged, 2 when this is unknown.
    Check(check::CheckArguments),
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

/// Returns the settings of the program and of its commands.
fn settings() -> String {
    let program = help::help(PROGRAM_SETTINGS);
    let commands = help::titled("Settings of the commands", COMMAND_SETTINGS);
    format!("{program}\n\n{commands}")
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        None => program::start(Program {
            name: "wahook",
            arguments: arguments.program,
            prefixes: &["WAHOOK_", "PRODUCER_", "CONSUMER_", "CONSOLE_", "WEBHOOK_"],
            read: StandaloneSettings::read,
            run: wahook::run,
        }),
        Some(Command::Dead(command)) => program::run_command(
            "wahook dead",
            StandaloneSettings::read_data,
            |data, shutdown| async move {
                let broker = wahook_embedded::open_dead_letters(&data)?;
                dead::run(command, broker, shutdown).await
            },
        ),
        Some(Command::Endpoints(command)) => program::run_command(
            "wahook endpoints",
            StandaloneSettings::read_data,
            |data, shutdown| async move {
                let sources = endpoints::Sources {
                    broker: wahook_embedded::open_dead_letters(&data)?,
                    configured: None,
                    log: None,
                    records: own_log::records(data.clone()),
                    operator: own_log::operator_state(data),
                };
                endpoints::run(command, sources, shutdown).await
            },
        ),
        Some(Command::Reconcile(arguments)) => program::run_check(
            "wahook reconcile",
            StandaloneSettings::read_data,
            |data, shutdown| {
                let sources = async move { own_log::sources(&data) };
                reconcile::run(arguments, sources, shutdown)
            },
        ),
        Some(Command::Erase(arguments)) => program::run_command(
            "wahook erase",
            StandaloneSettings::read_data,
            |data, shutdown| async move {
                let sources = erase::Sources {
                    counted: wahook_embedded::open_dead_letters(&data)?,
                    removed_from: wahook_embedded::open_dead_letters(&data)?,
                    operator: own_log::operator_state(data.clone()),
                    eraser: own_log::eraser(data),
                };
                erase::run(arguments, sources, shutdown).await
            },
        ),
        Some(Command::Export(arguments)) => program::run_check(
            "wahook export",
            |settings| arguments.read(settings),
            export::run,
        ),
        Some(Command::Check(arguments)) => program::run_check(
            "wahook check",
            |settings| arguments.read(settings),
            check::run,
        ),
        Some(Command::Events(command)) => {
            wahook_cli::run(command, Arguments::command, own_log::read)
        }
        Some(Command::Health { ready }) => program::run_command(
            "wahook health",
            |settings| {
                let producer = ProducerSettings::read_listen(settings);
                let consumer = DeliverySettings::read_listen(settings);
                Some((producer?, consumer?))
            },
            |(producer, consumer), _| async move {
                health::answer(producer, ready).await?;
                health::answer(consumer, ready).await
            },
        ),
    }
}
