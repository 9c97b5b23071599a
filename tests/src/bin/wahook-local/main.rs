//! `wahook-local`: the whole system on this machine, to be tried out. `make run` builds the
//! programs and starts this.

mod banner;
mod deliveries;
mod places;
mod receiver;
mod service;
mod system;

use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use places::Places;
use system::System;

/// Starts RabbitMQ, MongoDB, a test receiver, the consumer and the producer on this
/// machine, prints the command that sends a first event, shows each delivery on a
/// page, and prints a line for it.
/// Ctrl-C stops everything.
#[derive(Debug, Parser)]
#[command(name = "wahook-local", version, after_help = SETTINGS)]
struct Arguments {}

const SETTINGS: &str = "\
Settings (environment, or .env in the working directory):
  AMQP_URL        a broker of yours; else a private RabbitMQ is started
  MONGODB_URI     a MongoDB of yours; else a private one is started
  WEBHOOK_URL     a receiver of yours; else a test receiver is started
  WEBHOOK_SECRET  for the signatures; else a random one
All other settings of the producer and the consumer are handed on to them.
Data and logs are kept in .local/run; remove that folder to start afresh.";

fn main() -> ExitCode {
    Arguments::parse();
    // Before there are any threads: it changes the environment of this process.
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
        worked = system.start_and_watch(&places) => worked,
        () = stop() => Ok(()),
    };
    // Dropping what is left kills it, so that a second Ctrl-C is always quick.
    let stopped = tokio::select! {
        stopped = system.stop() => stopped,
        () = stop() => Err(anyhow::anyhow!("killed what was still running")),
    };
    worked.and(stopped)
}
