//! End-to-end tests of producer and consumer. Each test has its own producer, consumer,
//! receiver, virtual host and database; all share one RabbitMQ and one MongoDB.

mod batches;
mod console;
mod console_jobs;
mod context;
mod dead_letters;
mod deliveries;
mod duplicates;
mod edge;
mod health;
mod hostile;
mod hosts;
mod log_edge;
mod log_readers;
mod openapi;
mod order_key;
mod outage;
mod poison;
mod reconcile;
mod redrive;
mod refusals;
mod retries;
mod settings;
mod sources;
mod spool;
mod spool_limits;
mod stops;
mod traces;
mod verifiers;

use std::process::ExitCode;

use wahook_tests::world::{self, Tests};

fn main() -> ExitCode {
    // Most tests wait for a retry or an answer.
    all_tests().run(6)
}

fn all_tests() -> Tests {
    let mut tests = Tests::default();
    deliveries::add(&mut tests);
    duplicates::add(&mut tests);
    verifiers::add(&mut tests);
    reconcile::add(&mut tests);
    batches::add(&mut tests);
    refusals::add(&mut tests);
    edge::add(&mut tests);
    hostile::add(&mut tests);
    openapi::add(&mut tests);
    retries::add(&mut tests);
    dead_letters::add(&mut tests);
    console::add(&mut tests);
    console_jobs::add(&mut tests);
    order_key::add(&mut tests);
    context::add(&mut tests);
    traces::add(&mut tests);
    redrive::add(&mut tests);
    poison::add(&mut tests);
    log_edge::add(&mut tests);
    log_readers::add(&mut tests);
    stops::add(&mut tests);
    settings::add(&mut tests);
    spool::add(&mut tests);
    spool_limits::add(&mut tests);
    sources::add(&mut tests);
    health::add(&mut tests);
    hosts::add(&mut tests);
    tests
}
