//! `wahook-field`: long forms of field faults, with the program `wahook` and a real receiver. All
//! scenarios run at the same time, with the default settings. `make field` builds the programs
//! for it; [Field faults](../../../docs/reliability/field.md) has the figures of a run.

mod closing;
mod finding;
mod refusals;
mod slow;
mod stage;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use finding::Finding;

/// Runs the long forms of field faults, at most ten minutes, and compares each with what is
/// expected. Exit status 0: everything is as expected.
#[derive(Debug, Parser)]
#[command(name = "wahook-field", version)]
struct Arguments {
    /// Minutes for which an endpoint refuses nine of ten events
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=60))]
    minutes: u32,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("wahook-field: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let lasting = Duration::from_secs(60) * arguments.minutes;
    let findings: [Finding; 7] = tokio::try_join!(
        refusals::one_in_ten_taken(lasting),
        refusals::good_after_refused(),
        slow::batch(),
        slow::steady(),
        closing::soon_after_each_answer(0),
        closing::soon_after_each_answer(2),
        closing::soon_after_each_answer(20),
    )?
    .into();
    println!("| scenario | result | expected |\n|---|---|---|");
    for finding in &findings {
        println!("{finding}");
    }
    Ok(findings.iter().all(|finding| finding.is_as_expected))
}
