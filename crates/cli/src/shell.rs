//! Shell completions and manual pages, generated from the definition of the command line.

use anyhow::Context;
use clap::Args;
use clap_complete::{Shell, generate};
use clap_mangen::{Man, generate_to};
use std::{
    fs,
    io::{Write, stderr, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::is_broken_pipe;

#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// Shell: bash, elvish, fish, powershell or zsh
    shell: Shell,
}

#[derive(Debug, Args)]
pub struct ManArguments {
    /// Write a page for each command into this folder instead of printing one
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

pub(crate) fn completions(arguments: CompletionsArguments, mut program: clap::Command) -> ExitCode {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    generate(arguments.shell, &mut program, name, &mut script);
    exit_code(
        "wahook completions",
        stdout().write_all(&script).map_err(Into::into),
    )
}

pub(crate) fn man(arguments: ManArguments, program: clap::Command) -> ExitCode {
    let written = match arguments.to {
        Some(folder) => write_pages(&folder, program),
        None => page(program).and_then(|page| Ok(stdout().write_all(&page)?)),
    };
    exit_code("wahook man", written)
}

/// Writes `wahook.1`, `wahook-send.1` and so on.
fn write_pages(folder: &Path, program: clap::Command) -> anyhow::Result<()> {
    let written = fs::create_dir_all(folder).and_then(|()| generate_to(program, folder));
    written.with_context(|| folder.display().to_string())
}

fn page(program: clap::Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    // The command `help` has no page: `generate_to` skips it too.
    let program = program.disable_help_subcommand(true);
    Man::new(program).render(&mut page)?;
    Ok(page)
}

fn exit_code(name: &str, written: anyhow::Result<()>) -> ExitCode {
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Ignored: there is no other output to report the error to.
            let _ = writeln!(stderr(), "{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
