//! What a program says about its run: structured log lines on stderr.

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

use crate::settings::Settings;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object a line, the event's fields at its top level.
    Json,
}

/// A text that is neither `text` nor `json`.
#[derive(Debug, thiserror::Error)]
#[error("there are only these two formats")]
pub struct InvalidLogFormat;

/// Which events are logged, in the syntax of `RUST_LOG`.
#[derive(Debug)]
pub struct LogFilter(EnvFilter);

/// Everything from `info` up, but nothing of lapin's own: every failure of a
/// connection is logged where it is handled, and lapin calls an orderly close an
/// error.
const DEFAULT_FILTER: &str = "info,lapin=off";

impl LogFilter {
    /// Of commands that a person types: only what is out of order.
    #[must_use]
    pub fn of_commands() -> Self {
        Self(EnvFilter::new("warn,lapin=off"))
    }
}

/// Reads `LOG_FORMAT` and `RUST_LOG`.
pub fn read(settings: &mut Settings) -> (LogFormat, LogFilter) {
    let format = settings.parsed("LOG_FORMAT", LogFormat::default(), "text or json", "json");
    let filter = settings.parsed(
        "RUST_LOG",
        LogFilter::default(),
        "a level, or a list of target=level",
        "info,wahook_queue=debug",
    );
    (format, filter)
}

/// Starts logging to stderr, events and panics alike. Once per process.
///
/// # Errors
/// When the process has a subscriber already.
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
    let message = panic
        .payload_as_str()
        .unwrap_or("a payload that is no text");
    let location = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    // Captured only where RUST_BACKTRACE asks for it.
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

impl Default for LogFilter {
    fn default() -> Self {
        Self(EnvFilter::new(DEFAULT_FILTER))
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
