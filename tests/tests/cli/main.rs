//! The command line for events, on a real pair. Each test has its own producer, consumer,
//! virtual host and database, on one real RabbitMQ and one real MongoDB for all.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::process::ExitCode;

use wahook_tests::world::Tests;

fn main() -> ExitCode {
    let tests = Tests::default();
    tests.run(4)
}
