//! Output of an export.

use std::io::{Write, stdout};

/// Prints a line to standard output.
pub(super) fn print_line(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(stdout(), "{text}")?)
}
