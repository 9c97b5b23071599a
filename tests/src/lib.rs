//! Real servers, real programs and a real receiver for the end-to-end tests.
//!
//! Everything runs on loopback, in a folder of its own, on ports of its own, and is gone
//! when its owner is gone, even by `kill -9`. A part that fails says why and fails the test.
//! Methods named `try_…` return the failure instead.

pub mod amqp_wire;
pub mod browser;
pub mod eventually;
pub mod folder;
pub mod foreign;
pub mod generated;
pub mod guard;
pub mod http_client;
pub mod load;
pub mod mongod;
pub mod output;
pub mod pair;
pub mod ports;
pub mod process;
pub mod program;
pub mod rabbitmq;
pub mod random;
pub mod raw_http;
pub mod raw_receiver;
pub mod receiver;
pub mod small_disk;
/// The domain's own generator: it draws the same documents for both.
#[path = "../../crates/domain/tests/spelled/mod.rs"]
pub mod spelled;
pub mod tcp_proxy;
pub mod world;

use std::env;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The folder that holds `.local` and the workspace's `Cargo.toml`: the one that cargo runs
/// this in, else the one that it was built in.
pub fn workspace() -> PathBuf {
    let built_in = env!("CARGO_MANIFEST_DIR");
    let crate_folder = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| built_in.into());
    let crate_folder = Path::new(&crate_folder);
    crate_folder.parent().unwrap_or(crate_folder).to_owned()
}

/// Fails the test with the whole story of the error.
#[track_caller]
#[expect(clippy::panic, reason = "a broken harness can only fail its test")]
pub fn or_fail<T>(what: impl Display, result: anyhow::Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:#}"),
    }
}
