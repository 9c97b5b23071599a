//! `wahook-demo`: a webhook that fails now and then, and a trickle of events to be delivered to
//! it, so that the dashboards have something to show.

mod trickle;
mod webhook;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Answers webhooks, most of them well, and posts sample events to the producer.
#[derive(Debug, Parser)]
#[command(name = "wahook-demo", version)]
struct Arguments {
    /// Where the webhook listens
    #[arg(long, env = "DEMO_LISTEN", default_value = "0.0.0.0:4000")]
    listen: SocketAddr,
    /// Where the producer takes events
    #[arg(long, env = "DEMO_PRODUCER", default_value = "http://127.0.0.1:8080")]
    producer: String,
    /// A file with the producer's token
    #[arg(long, env = "DEMO_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Events a minute
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
