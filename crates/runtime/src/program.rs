//! How a program starts and ends: settings, logging, runtime, signals, exit
//! status.

use anyhow::Context;
use std::{fmt::Display, future::Future, process::ExitCode, time::Duration};

use crate::{
    Effective, Settings, Shutdown,
    settings::{self, SettingsFaults},
    telemetry, tls,
};

/// How long a command may take to end what it has begun.
const COMMAND_GRACE: Duration = Duration::from_secs(10);
/// How long the runtime may take to end its last threads.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

/// What differs between programs.
pub struct Program<R, S> {
    /// As the executable is called.
    pub name: &'static str,
    /// Beginnings of variables of which an unknown one is a misspelling.
    pub prefixes: &'static [&'static str],
    /// Reads the program's own settings; without faults there is a result.
    pub read: fn(&mut Settings) -> Option<R>,
    /// Does the work until it is told to stop.
    pub run: S,
}

/// Runs a program to its end. The exit status is 0 after a stop that was asked
/// for, 2 when settings are at fault, else 1.
pub fn start<R, S, F>(program: Program<R, S>) -> ExitCode
where
    S: FnOnce(R, Shutdown) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let ready = match prepare(&program) {
        Ok(ready) => ready,
        Err(faults) => {
            complain(program.name, &faults);
            return ExitCode::from(settings::EXIT_STATUS);
        }
    };
    match work(program, ready) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "stopped by an error");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command that an operator types: quiet, and with an end of its own.
/// The exit status is 0 when it did all that it was asked for, 2 when settings
/// are at fault, else 1. SIGINT and SIGTERM are the soft stop.
pub fn run_command<R, S, F>(name: &str, read: fn(&mut Settings) -> Option<R>, run: S) -> ExitCode
where
    S: FnOnce(R, Shutdown) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    match command(name, read, run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Unable::Settings) => ExitCode::from(settings::EXIT_STATUS),
        Err(Unable::Failed) => ExitCode::FAILURE,
    }
}

/// Runs a command that answers a question. The exit status is 0 for yes, 1 for
/// no, and 2 when it can't tell, be it for its settings.
pub fn run_check<R, S, F>(
    name: &str,
    read: impl FnOnce(&mut Settings) -> Option<R>,
    run: S,
) -> ExitCode
where
    S: FnOnce(R, Shutdown) -> F,
    F: Future<Output = anyhow::Result<bool>>,
{
    match command(name, read, run) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) => ExitCode::from(settings::EXIT_STATUS),
    }
}

/// Why a command came to no end; the person has been told.
enum Unable {
    Settings,
    Failed,
}

fn command<R, S, F, T>(
    name: &str,
    read: impl FnOnce(&mut Settings) -> Option<R>,
    run: S,
) -> Result<T, Unable>
where
    S: FnOnce(R, Shutdown) -> F,
    F: Future<Output = anyhow::Result<T>>,
{
    let mut settings = Settings::from_environment();
    let read = read(&mut settings);
    let faults = settings.finish().err();
    let read = match (read, faults) {
        (Some(read), None) => read,
        (_, faults) => {
            let faults = faults.unwrap_or_else(|| SettingsFaults::unexplained(name));
            complain(name, &faults);
            return Err(Unable::Settings);
        }
    };
    let ran = telemetry::init(
        telemetry::LogFormat::Text,
        telemetry::LogFilter::of_commands(),
    )
    .context("logging")
    .and_then(|()| {
        on_runtime(COMMAND_GRACE, |shutdown| async move {
            let hard = shutdown.hard();
            tokio::select! {
                ran = run(read, shutdown) => ran,
                () = hard => anyhow::bail!("stopped before it was done"),
            }
        })
    });
    ran.map_err(|error| {
        complain(name, &format_args!("{error:#}"));
        Unable::Failed
    })
}

struct Ready<R> {
    settings: R,
    grace: Duration,
    effective: Vec<Effective>,
    unknown: Vec<String>,
    logging: (telemetry::LogFormat, telemetry::LogFilter),
}

fn prepare<R, S>(program: &Program<R, S>) -> Result<Ready<R>, SettingsFaults> {
    let mut settings = Settings::from_environment();
    let read = (program.read)(&mut settings);
    let grace = settings.in_range("SHUTDOWN_GRACE", 40, 0..=3_600, "40");
    let logging = telemetry::read(&mut settings);
    let unknown = settings.unknown(program.prefixes);
    let effective = settings.finish()?;
    let read = read.ok_or_else(|| SettingsFaults::unexplained(program.name))?;
    let grace = Duration::from_secs(grace);
    Ok(Ready {
        settings: read,
        grace,
        effective,
        unknown,
        logging,
    })
}

fn work<R, S, F>(program: Program<R, S>, ready: Ready<R>) -> anyhow::Result<()>
where
    S: FnOnce(R, Shutdown) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let (format, filter) = ready.logging;
    telemetry::init(format, filter).context("logging")?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "{} starts",
        program.name
    );
    if wahook_failpoint::is_armed() {
        tracing::warn!("built with failpoints: for the fault matrix, never for production");
    }
    for setting in &ready.effective {
        tracing::info!("setting {setting}");
    }
    for name in &ready.unknown {
        tracing::warn!("{name} is set, but there is no such setting");
    }
    let ended = on_runtime(ready.grace, |shutdown| {
        (program.run)(ready.settings, shutdown)
    });
    if ended.is_ok() {
        tracing::info!("{} stopped", program.name);
    }
    ended
}

fn on_runtime<F, T>(grace: Duration, run: impl FnOnce(Shutdown) -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    tls::install_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let shutdown = Shutdown::on_signals(grace).context("signal handlers")?;
        run(shutdown).await
    });
    runtime.shutdown_timeout(LEAVE_LIMIT);
    ended
}

/// Faults go to stderr as they are: logging may be among what is at fault.
#[expect(
    clippy::print_stderr,
    reason = "what a person who typed the command must read"
)]
fn complain(name: &str, faults: &dyn Display) {
    eprintln!("{name}: {faults}");
}
