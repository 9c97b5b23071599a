//! Order per chat with RabbitMQ: several consumers, failing receivers, and consumers that stop,
//! are killed, freeze or reconnect; events whose delivery panics; and lanes without an order.

mod circuit;
mod early_end;
mod held;
mod keys;
mod lanes;
mod owners;
mod panicking;
mod parked;
mod poison;
mod reconnected;
mod shared;
mod unordered_poison;

use std::process::ExitCode;

use wahook_tests::world::Tests;

fn main() -> ExitCode {
    let mut tests = Tests::default();
    owners::add(&mut tests);
    lanes::add(&mut tests);
    keys::add(&mut tests);
    held::add(&mut tests);
    parked::add(&mut tests);
    poison::add(&mut tests);
    reconnected::add(&mut tests);
    shared::add(&mut tests);
    unordered_poison::add(&mut tests);
    early_end::add(&mut tests);
    tests.run(3)
}
