//! `wahook-consumer`: delivers events from RabbitMQ to webhooks.

use clap::{Parser, Subcommand};
use std::{process::ExitCode, sync::Arc};
use wahook_admin::{auto_redrive::AutoRedriver, dead, endpoints, erase, reconcile};
use wahook_consumer::{ConsumerSettings, DeliverySettings, PROGRAM_SETTINGS};
use wahook_delivery_log::{LogEraser, LogReader};
use wahook_mongo_log::LogSettings;
use wahook_operator_state::SharedOperatorState;
use wahook_queue::Broker;
use wahook_runtime::{
    Shutdown, health,
    program::{self, Program, ProgramArguments},
    settings::help::help,
};
use wahook_traces::{MessagingSystem, Traces};

/// Deliver events from RabbitMQ to webhooks: signed, retried, and logged in MongoDB
#[derive(Parser)]
#[command(name = "wahook-consumer", version, args_conflicts_with_subcommands = true, after_help = help(PROGRAM_SETTINGS))]
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
    /// AMQP_URL is the broker's address.
    #[command(subcommand)]
    Dead(dead::DeadCommand),
    /// List, pause and resume endpoints, and move or drop the queued events of removed ones
    ///
    /// AMQP_URL and MONGODB_URI (MONGODB_DATABASE) are the addresses of broker and log. The
    /// settings of the endpoints (WEBHOOK_ENDPOINTS or WEBHOOK_URL) must be those of the
    /// consumers.
    #[command(subcommand)]
    Endpoints(endpoints::EndpointsCommand),
    /// Check that every accepted event is delivered, failed, retrying or queued
    ///
    /// AMQP_URL and MONGODB_URI (MONGODB_DATABASE) are the addresses of broker and log.
    /// Exit status: 0 when every delivery is accounted for, 1 when some are not,
    /// 2 when that could not be determined.
    #[command(visible_alias = "verify")]
    Reconcile(reconcile::ReconcileArguments),
    /// Remove the data of a person from log and dead letters
    ///
    /// Records keep id, event, endpoint, status and times. Dead letters are removed. Events that
    /// are queued are only counted. AMQP_URL and MONGODB_URI (MONGODB_DATABASE) are the addresses
    /// of broker and log.
    Erase(erase::EraseArguments),
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

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        None => program::start(Program {
            name: "wahook-consumer",
            arguments: arguments.program,
            prefixes: &["CONSUMER_", "WEBHOOK_", "MONGODB_"],
            read: ConsumerSettings::read,
            run,
        }),
        Some(Command::Dead(command)) => program::run_command(
            "wahook-consumer dead",
            dead::read_settings,
            |broker, shutdown| dead::run(command, broker, shutdown),
        ),
        Some(Command::Endpoints(command)) => program::run_command(
            "wahook-consumer endpoints",
            ConsumerSettings::read,
            |settings, shutdown| endpoints::run(command, sources(settings), shutdown),
        ),
        Some(Command::Reconcile(arguments)) => program::run_check(
            "wahook-consumer reconcile",
            |settings| {
                let broker = reconcile::ReconcileSettings::read(settings);
                let log = LogSettings::read(settings);
                Some((broker?, log?))
            },
            |(settings, log), shutdown| {
                let sources = async move { settings.open(Box::new(log.open().await?)).await };
                reconcile::run(arguments, sources, shutdown)
            },
        ),
        Some(Command::Erase(arguments)) => program::run_command(
            "wahook-consumer erase",
            |settings| {
                let broker = dead::read_settings(settings);
                let log = LogSettings::read(settings);
                Some((broker?, log?))
            },
            |(broker, log), shutdown| erase::run(arguments, erasable(broker, log), shutdown),
        ),
        Some(Command::Health { ready }) => program::run_command(
            "wahook-consumer health",
            DeliverySettings::read_listen,
            |listen, _| health::answer(listen, ready),
        ),
    }
}

/// Runs the consumer, and its traces if they are on, until `shutdown`.
async fn run(mut settings: ConsumerSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let traces = std::mem::take(&mut settings.traces);
    let traces = Traces::start(traces, "wahook-consumer", MessagingSystem::RabbitMq)?;
    let ended = deliver(settings, shutdown.clone()).await;
    traces.stop(&shutdown).await;
    ended
}

/// Runs the consumer, and redrives dead letters after outages, until `shutdown`.
async fn deliver(settings: ConsumerSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let broker = settings.broker.clone().into();
    let consumer = wahook_consumer::connect(settings).await?;
    let redriver = AutoRedriver::new(broker, consumer.recoveries(), consumer.registry())?;
    let redriving = async {
        redriver.run(shutdown.clone()).await;
        Ok(())
    };
    tokio::try_join!(consumer.run(shutdown.clone()), redriving).map(|((), ())| ())
}

/// Returns log, queues and record of actions for the command `erase`.
fn erasable(broker: Broker, log: LogSettings) -> erase::Sources {
    let log = Arc::new(log);
    let operator = Arc::clone(&log);
    erase::Sources {
        eraser: Box::pin(async move { Ok(Arc::new(log.open().await?) as Arc<dyn LogEraser>) }),
        operator: Box::pin(
            async move { Ok(Arc::new(operator.open().await?) as SharedOperatorState) },
        ),
        counted: broker.clone(),
        removed_from: broker,
    }
}

/// Returns queues, endpoints, log and orders for the commands `endpoints`.
fn sources(settings: ConsumerSettings) -> endpoints::Sources {
    let configured = settings.delivery.endpoints.list.into_iter();
    let log = Arc::new(settings.log);
    let (operator, records) = (Arc::clone(&log), Arc::clone(&log));
    endpoints::Sources {
        broker: settings.broker.into(),
        configured: Some(configured.map(|endpoint| endpoint.name).collect()),
        log: Some(Box::pin(async move {
            Ok(Box::new(log.open().await?) as Box<dyn LogReader>)
        })),
        records: Box::pin(async move { Ok(Box::new(records.open().await?) as Box<dyn LogReader>) }),
        operator: Box::pin(
            async move { Ok(Arc::new(operator.open().await?) as SharedOperatorState) },
        ),
    }
}
