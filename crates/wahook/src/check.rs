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
}

/// Options and settings of a check.
#[derive(Debug)]
pub struct Check {
    data: PathBuf,
    depth: Depth,
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
        Some(Check { data, depth })
    }
}

/// Runs a check. Returns true if the file is intact.
///
/// # Errors
/// If the file does not exist, can't be opened, or was not written by wahook.
pub async fn run(check: Check, _: Shutdown) -> anyhow::Result<bool> {
    let Check { data, depth } = check;
    let shown = data.display().to_string();
    let problems = spawn_blocking(move || wahook_embedded::check(&data, depth)).await??;
    let mut out = stdout();
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
