//! SIGHUP, on which a program reloads its files.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Registers for SIGHUP, which no longer ends the program from here on.
///
/// # Errors
/// Fails if the system rejects the signal handler.
pub fn hangups() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("SIGHUP handler")
}
