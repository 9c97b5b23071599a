//! Start and end of a program: settings, logging, runtime, signals, exit status.

use anyhow::Context;
use std::{fmt::Display, future::Future, process::ExitCode, time::Duration};

use crate::{
    Effective, Setting, Settings, Shutdown,
    settings::{self, DefaultValue, Kind, SettingsFaults},
    telemetry, tls,
};

/// Settings of every program, in addition to its own.
pub const SETTINGS: &[Setting] = &[SHUTDOWN_GRACE, telemetry::LOG_FORMAT, telemetry::RUST_LOG];

pub const SHUTDOWN_GRACE: Setting = Setting {
    name: "SHUTDOWN_GRACE",
    kind: Kind::Integer {
        min: 0,
        max: 3_600,
        unit: "seconds",
    },
    default: DefaultValue::Number(40),
    example: "40",
    help: "time that a stop may take",
    meaning: "time that a stop may take; then the program ends and the broker redelivers what is \
        not acknowledged",
};

/// Time for a command to finish its work after a soft stop.
const COMMAND_GRACE: Duration = Duration::from_secs(10);
/// Time for the runtime to end its last threads.
const RUNTIME_STOP_LIMIT: Duration = Duration::from_secs(2);

/// Arguments of every program, for `#[command(flatten)]`.
#[derive(Debug, clap::Args)]
pub struct ProgramArguments {
    /// Print the effective settings, one line each, secrets redacted, and exit
    #[arg(long)]
    print_config: bool,
}

/// Properties of one program.
pub struct Program<R, S> {
    /// Name of the executable.
    pub name: &'static str,
    pub arguments: ProgramArguments,
    /// Prefixes whose unknown variables are reported as misspelt.
    pub prefixes: &'static [&'static str],
    /// Reads the program's own settings; returns `None` only after noting a fault.
    pub read: fn(&mut Settings) -> Option<R>,
    /// Runs the program until shutdown.
    pub run: S,
}

/// Runs a program to its end. The exit status is 0 after a requested stop, 2 for
/// faulty settings, else 1.
pub fn start<R, S, F>(program: Program<R, S>) -> ExitCode
where
    S: FnOnce(R, Shutdown) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let prepared = match prepare(&program) {
        Ok(prepared) => prepared,
        Err(faults) => {
            print_error(program.name, &faults);
            return ExitCode::from(settings::EXIT_STATUS);
        }
    };
    if program.arguments.print_config {
        print_config(&prepared);
        return ExitCode::SUCCESS;
    }
    match run(program, prepared) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "stopped by an error");
            ExitCode::FAILURE
        }
    }
}

/// Runs an operator's command, which logs only warnings and ends by itself. The exit
/// status is 0 on success, 2 for faulty settings, else 1. SIGINT and SIGTERM are the
/// soft stop.
pub fn run_command<R, S, F>(name: &str, read: fn(&mut Settings) -> Option<R>, run: S) -> ExitCode
where
    S: FnOnce(R, Shutdown) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    match command(name, read, run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CommandError::Settings) => ExitCode::from(settings::EXIT_STATUS),
        Err(CommandError::Failed) => ExitCode::FAILURE,
    }
}

/// Runs a command with a yes or no result. The exit status is 0 for yes, 1 for no, and
/// 2 if the command fails or its settings are faulty.
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

/// Reason why a command failed; the error is already printed.
enum CommandError {
    Settings,
    Failed,
}

fn command<R, S, F, T>(
    name: &str,
    read: impl FnOnce(&mut Settings) -> Option<R>,
    run: S,
) -> Result<T, CommandError>
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
            print_error(name, &faults);
            return Err(CommandError::Settings);
        }
    };
    let ran = telemetry::init(
        telemetry::LogFormat::Text,
        telemetry::LogFilter::for_commands(),
    )
    .context("logging")
    .and_then(|()| {
        on_runtime(COMMAND_GRACE, |shutdown| async move {
            let hard = shutdown.hard();
            tokio::select! {
                ran = run(read, shutdown) => ran,
                () = hard => anyhow::bail!("stopped before completion"),
            }
        })
    });
    ran.map_err(|error| {
        print_error(name, &format_args!("{error:#}"));
        CommandError::Failed
    })
}

struct Prepared<R> {
    settings: R,
    grace: Duration,
    effective: Vec<Effective>,
    unknown: Vec<String>,
    logging: (telemetry::LogFormat, telemetry::LogFilter),
}

fn prepare<R, S>(program: &Program<R, S>) -> Result<Prepared<R>, SettingsFaults> {
    let mut settings = Settings::from_environment();
    let read = (program.read)(&mut settings);
    let grace = settings.value(&SHUTDOWN_GRACE).map(Duration::from_secs);
    let logging = telemetry::read(&mut settings);
    let unknown = settings.unknown(program.prefixes);
    let effective = settings.finish()?;
    let prepared = || {
        Some(Prepared {
            settings: read?,
            grace: grace?,
            effective,
            unknown,
            logging: logging?,
        })
    };
    prepared().ok_or_else(|| SettingsFaults::unexplained(program.name))
}

fn run<R, S, F>(program: Program<R, S>, prepared: Prepared<R>) -> anyhow::Result<()>
where
    S: FnOnce(R, Shutdown) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let (format, filter) = prepared.logging;
    telemetry::init(format, filter).context("logging")?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "{} starts",
        program.name
    );
    if wahook_failpoint::is_armed() {
        tracing::warn!("built with failpoints: for fault tests only, not for production");
    }
    for setting in &prepared.effective {
        tracing::debug!("setting {setting}");
    }
    for name in &prepared.unknown {
        tracing::warn!("{name} is set, but is not a known setting: check its spelling");
    }
    let ended = on_runtime(prepared.grace, |shutdown| {
        (program.run)(prepared.settings, shutdown)
    });
    if ended.is_ok() {
        tracing::info!("{} stopped", program.name);
    }
    ended
}

/// Prints the effective settings to stdout, and unknown variables to stderr.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the output that was requested"
)]
fn print_config<R>(prepared: &Prepared<R>) {
    for setting in &prepared.effective {
        println!("{setting}");
    }
    for name in &prepared.unknown {
        eprintln!("{name} is set, but is not a known setting: check its spelling");
    }
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
    runtime.shutdown_timeout(RUNTIME_STOP_LIMIT);
    ended
}

/// Prints to stderr without the logger: the faults may concern the log settings.
#[expect(clippy::print_stderr, reason = "the user of the command must see it")]
fn print_error(name: &str, faults: &dyn Display) {
    eprintln!("{name}: {faults}");
}
