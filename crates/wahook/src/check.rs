//! `wahook check`: looks for damage in the data file.

use std::{
    io::{Write, stdout},
    path::PathBuf,
};

use clap::Args;
use tokio::task::spawn_blocking;
use wahook_embedded::Depth;
use wahook_runtime::{Settings, Shutdown, printable};

use crate::StandaloneSettings;

/// Options of `wahook check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Data file [default: WAHOOK_DATA, else wahook.db]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Read all pages, but do not compare indexes with tables
    #[arg(long)]
    quick: bool,
    /// Rewrite the file without free space first, while wahook is stopped
    ///
    /// Needs free disk space of twice the file's size. Once for a file of an earlier version:
    /// from then on it gives back space by itself.
    #[arg(long)]
    compact: bool,
}

/// Options and settings of a check.
#[derive(Debug)]
pub struct Check {
    data: PathBuf,
    depth: Depth,
    compact: bool,
}

impl CheckArguments {
    /// Reads the path of the data file; faults are recorded in `settings`.
    pub fn read(self, settings: &mut Settings) -> Option<Check> {
        let data = match self.file {
            Some(file) => file,
            None => StandaloneSettings::read_data(settings)?,
        };
        let depth = if self.quick {
            Depth::Quick
        } else {
            Depth::Full
        };
        let compact = self.compact;
        Some(Check {
            data,
            depth,
            compact,
        })
    }
}

/// Runs a check. Returns true if the file is intact.
///
/// # Errors
/// If the file does not exist, can't be opened, or was not written by wahook.
pub async fn run(check: Check, _: Shutdown) -> anyhow::Result<bool> {
    let Check {
        data,
        depth,
        compact,
    } = check;
    let shown = data.display().to_string();
    let mut out = stdout();
    if compact {
        let data = data.clone();
        let compacted = spawn_blocking(move || wahook_embedded::compact(&data));
        let (before, after) = compacted.await??;
        writeln!(
            out,
            "{shown} compacted: {before} bytes before, {after} after"
        )?;
    }
    let problems = spawn_blocking(move || wahook_embedded::check(&data, depth)).await??;
    for problem in &problems {
        writeln!(out, "{}", printable(problem))?;
    }
    if problems.is_empty() {
        writeln!(out, "{shown} is intact")?;
    } else {
        writeln!(
            out,
            "{shown} is damaged: stop wahook and restore a backup, or move the file away to start \
             with an empty one; `sqlite3 {shown} .recover` rescues what is readable"
        )?;
    }
    Ok(problems.is_empty())
}
