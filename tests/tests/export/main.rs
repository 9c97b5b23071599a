//! `wahook export`: from the data file of `wahook` to a real RabbitMQ and MongoDB, where a
//! producer and a consumer continue.

mod file;
mod killed;
mod moved;
mod records;
mod refusals;

use std::process::ExitCode;

use wahook_tests::world::Tests;

fn main() -> ExitCode {
    let mut tests = Tests::default();
    // The longest test first.
    killed::add(&mut tests);
    moved::add(&mut tests);
    records::add(&mut tests);
    refusals::add(&mut tests);
    tests.run(3)
}
