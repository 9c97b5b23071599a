//! `wahook-reference`: writes the lists of settings in `.env.example` and
//! `docs/configuration.md` from the declarations in the code.

mod env_example;
mod markdown;
mod sections;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;
use wahook_tests::workspace;

const ENV_EXAMPLE: &str = ".env.example";
const CONFIGURATION: &str = "docs/configuration.md";

/// Write .env.example and the generated parts of docs/configuration.md
#[derive(Debug, Parser)]
#[command(name = "wahook-reference", version)]
struct Arguments {
    /// Write nothing; fail if a file is out of date
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wahook-reference: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let sections = sections::all();
    let configuration = read(CONFIGURATION)?;
    let configuration = markdown::fill(&configuration, &sections).context(CONFIGURATION)?;
    let files = [
        (ENV_EXAMPLE, env_example::of(&sections)),
        (CONFIGURATION, configuration),
    ];
    for (file, text) in files {
        if read(file)? == text {
            continue;
        }
        ensure!(
            !arguments.check,
            "{file} differs from the declared settings: run `make reference`"
        );
        fs::write(workspace().join(file), text).context(file)?;
        println!("{file} written");
    }
    Ok(())
}

fn read(file: &'static str) -> anyhow::Result<String> {
    fs::read_to_string(workspace().join(file)).context(file)
}
