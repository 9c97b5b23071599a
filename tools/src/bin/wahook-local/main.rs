//! `wahook-local`: runs the whole system on this machine, for a trial. `make run` builds the
//! programs and starts it.

mod banner;
mod deliveries;
mod places;
mod receiver;
mod service;
mod system;

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use banner::print_banner;
use places::Places;
use system::System;

/// Starts RabbitMQ, MongoDB, a test receiver, the consumer and the producer on this
/// machine. Prints a command that sends a first event, then a line for each delivery;
/// deliveries are also shown on a page. Ctrl-C stops everything.
#[derive(Debug, Parser)]
#[command(name = "wahook-local", version, after_help = SETTINGS)]
struct Arguments {}

const SETTINGS: &str = "\
Settings (environment, or .env in the working directory):
  AMQP_URL        your broker; default: a private RabbitMQ is started
  MONGODB_URI     your MongoDB; default: a private one is started
  WEBHOOK_URL     your receiver; default: a test receiver is started
  WEBHOOK_SECRET  secret for the signatures; default: a random one
All other settings are passed to the producer and the consumer.
Data and logs are kept in .local/run; remove that folder to reset.";

fn main() -> ExitCode {
    Arguments::parse();
    // Changes the environment of this process, so it runs before any thread is started.
    if let Err(error) = dotenvy::dotenv()
        && !error.not_found()
    {
        eprintln!("wahook-local: .env: {error}");
        return ExitCode::FAILURE;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wahook-local: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut stop = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    };

    let places = Places::open()?;
    let mut system = System::default();
    let worked = tokio::select! {
        worked = start_and_watch(&mut system, &places) => worked,
        () = stop() => Ok(()),
    };
    // Dropping the system kills running processes, so a second Ctrl-C always stops quickly.
    let stopped = tokio::select! {
        stopped = system.stop() => stopped,
        () = stop() => Err(anyhow::anyhow!("second interrupt: killed the processes still running")),
    };
    worked.and(stopped)
}

/// Returns only with an error.
async fn start_and_watch(system: &mut System, places: &Places) -> anyhow::Result<()> {
    system.start(places).await?;
    print_banner(system);
    system.watch().await
}
