//! `wahook-demo`: test webhook that sometimes fails, and a slow stream of sample events for it, so
//! that the dashboards have data.

mod trickle;
mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Receives webhooks, some of which it rejects, and posts sample events to the producer.
#[derive(Debug, Parser)]
#[command(name = "wahook-demo", version)]
struct Arguments {
    /// Address on which the webhook listens
    #[arg(long, env = "DEMO_LISTEN", default_value = "0.0.0.0:4000")]
    listen: SocketAddr,
    /// Base URL of the producer
    #[arg(long, env = "DEMO_PRODUCER", default_value = "http://127.0.0.1:8080")]
    producer: String,
    /// File with the producer's token
    #[arg(long, env = "DEMO_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Events per minute
    #[arg(long, env = "DEMO_EVENTS_PER_MINUTE", default_value_t = 120)]
    per_minute: u32,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wahook-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let token = match &arguments.token_file {
        Some(path) => {
            let read = std::fs::read_to_string(path);
            Some(read.with_context(|| path.display().to_string())?)
        }
        None => None,
    };
    let listener = TcpListener::bind(arguments.listen).await;
    let listener = listener.with_context(|| arguments.listen.to_string())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        served = webhook::serve(listener) => served,
        sent = trickle::send(&arguments.producer, token.as_deref(), arguments.per_minute) => sent,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}
