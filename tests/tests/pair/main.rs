//! The pair, end to end: each test has its own producer, consumer, receiver, virtual host
//! and database, on one real RabbitMQ and one real MongoDB for all.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod batches;
mod dead_letters;
mod deliveries;
mod log_edge;
mod log_readers;
mod poison;
mod refusals;
mod retries;
mod settings;
mod stops;
mod verifiers;
mod world;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use world::{Tests, World};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Most of them wait, for a retry or an answer.
    arguments.test_threads.get_or_insert(6);
    let tests = all_tests();
    if arguments.list {
        return libtest_mimic::run(&arguments, tests.into_trials(None)).exit_code();
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let names = tests.names();
    let world = runtime.block_on(World::start(&names));
    let trials: Vec<Trial> = tests.into_trials(Some((world.clone(), runtime.handle().clone())));
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The servers stop and their folders go before the process ends.
    drop(world);
    drop(runtime);
    conclusion.exit_code()
}

fn all_tests() -> Tests {
    let mut tests = Tests::default();
    deliveries::add(&mut tests);
    verifiers::add(&mut tests);
    batches::add(&mut tests);
    refusals::add(&mut tests);
    retries::add(&mut tests);
    dead_letters::add(&mut tests);
    poison::add(&mut tests);
    log_edge::add(&mut tests);
    log_readers::add(&mut tests);
    stops::add(&mut tests);
    settings::add(&mut tests);
    tests
}
