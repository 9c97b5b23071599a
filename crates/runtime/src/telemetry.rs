//! Structured log lines on stderr.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt,
    io::IsTerminal,
    panic::PanicHookInfo,
    str::FromStr,
};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    fmt::MakeWriter,
    util::{SubscriberInitExt, TryInitError},
};

use crate::settings::{DefaultValue, Kind, Setting, Settings};

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Plain text, coloured on a terminal.
    Text,
    /// A JSON object per line, with the event's fields at its top level.
    Json,
}

/// Text that is neither `text` nor `json`.
#[derive(Debug, thiserror::Error)]
#[error("unknown format")]
pub struct InvalidLogFormat;

/// Filter of log events, in the syntax of `RUST_LOG`.
#[derive(Debug)]
pub struct LogFilter(EnvFilter);

impl LogFilter {
    /// Returns the filter for interactive commands: warnings and errors only.
    #[must_use]
    pub fn for_commands() -> Self {
        Self(EnvFilter::new("warn,lapin=off"))
    }
}

pub const LOG_FORMAT: Setting = Setting {
    name: "LOG_FORMAT",
    kind: Kind::Choice(&["text", "json"]),
    default: DefaultValue::Text("text"),
    example: "json",
    help: "format of the log",
    meaning: "format of the log on standard error; `json` writes one object per line",
};

pub const RUST_LOG: Setting = Setting {
    name: "RUST_LOG",
    kind: Kind::Text("a level, or a list of target=level"),
    // Without lapin: connection failures are logged where they are handled, and lapin logs
    // an orderly close as an error.
    default: DefaultValue::Text("info,lapin=off"),
    example: "info,wahook_queue=debug",
    help: "log filter",
    meaning: "filter of the log",
};

/// Reads `LOG_FORMAT` and `RUST_LOG`. Returns `None` only after a fault.
pub fn read(settings: &mut Settings) -> Option<(LogFormat, LogFilter)> {
    let format = settings.value(&LOG_FORMAT);
    let filter = settings.value(&RUST_LOG);
    Some((format?, filter?))
}

/// Starts logging of events and panics to stderr. Call it once per process.
///
/// # Errors
/// When the process already has a subscriber.
pub fn init(format: LogFormat, filter: LogFilter) -> Result<(), TryInitError> {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let ansi = std::io::stderr().is_terminal() && !no_color;
    subscriber(format, filter, ansi, std::io::stderr).try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn subscriber<W>(
    format: LogFormat,
    filter: LogFilter,
    ansi: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter.0)
        .with_writer(writer);
    match format {
        LogFormat::Text => Box::new(builder.with_ansi(ansi).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("payload is not text");
    let location = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    // Captured only if RUST_BACKTRACE is set.
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(panic = message, location, %backtrace, "panicked");
    } else {
        tracing::error!(panic = message, location, "panicked");
    }
}

impl FromStr for LogFormat {
    type Err = InvalidLogFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(InvalidLogFormat),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl FromStr for LogFilter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        EnvFilter::try_new(text).map(Self)
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
