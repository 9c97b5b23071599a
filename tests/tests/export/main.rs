//! `wahook export`: from the file of one process to a real RabbitMQ and a real MongoDB, where
//! real programs of the pair go on.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod file;
mod killed;
mod moved;
mod records;
mod refusals;

use std::process::ExitCode;
use std::time::Duration;

use wahook_tests::world::Tests;

const SOON: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let mut tests = Tests::default();
    // The long one first.
    killed::add(&mut tests);
    moved::add(&mut tests);
    records::add(&mut tests);
    refusals::add(&mut tests);
    tests.run(3)
}
