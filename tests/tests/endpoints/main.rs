//! Several endpoints: filters, secrets, isolation, outages, limits, and changes without a
//! restart. Each test has its own producer, consumers, virtual host and database; all share one
//! RabbitMQ and one MongoDB.

mod auto_redrive;
mod bodies;
mod filters;
mod isolation;
mod limits;
mod memory;
mod operators;
mod outages;
mod refusals;
mod reloads;
mod removed;
mod series;
mod several;
mod slowed;

use std::process::ExitCode;

use wahook_tests::world::{self, Tests};

fn main() -> ExitCode {
    let mut tests = Tests::default();
    // Long tests first; tests that need the machine alone last.
    outages::add(&mut tests);
    memory::add(&mut tests);
    auto_redrive::add(&mut tests);
    operators::add(&mut tests);
    slowed::add(&mut tests);
    refusals::add(&mut tests);
    bodies::add(&mut tests);
    series::add(&mut tests);
    filters::add(&mut tests);
    reloads::add(&mut tests);
    removed::add(&mut tests);
    isolation::add(&mut tests);
    limits::add(&mut tests);
    tests.run(4)
}
