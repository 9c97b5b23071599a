//! Misbehaving receivers: each attempt ends in time and in bounded memory, with its outcome in
//! log and metrics, and the next delivery succeeds.

mod authority;
mod ending;
mod heads;
mod http2;
mod interim;
mod poison;
mod reach;
mod redirects;
mod retry_after;
mod rows;
mod soak;
mod table;
mod tls;

use std::process::ExitCode;

use wahook_tests::world::Tests;

fn main() -> ExitCode {
    let mut tests = Tests::default();
    table::add(&mut tests);
    soak::add(&mut tests);
    reach::add(&mut tests);
    redirects::add(&mut tests);
    tls::add(&mut tests);
    http2::add(&mut tests);
    interim::add(&mut tests);
    poison::add(&mut tests);
    retry_after::add(&mut tests);
    // Most tests only wait. Those that wait for 30 s come first.
    tests.run(16)
}
