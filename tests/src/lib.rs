//! Harness of the end-to-end tests: servers, programs and receivers.
//!
//! Every process runs on loopback with its own folder and ports, and ends with the test
//! process, even after `kill -9`. A failure in the harness fails the test with its cause;
//! methods named `try_…` return the failure instead.

// `Cargo.toml` allows these for the tests; programs use the harness as well.
#![warn(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

pub mod amqp_wire;
pub mod blocked_chat;
pub mod browser;
pub mod chats;
pub mod cluster;
pub mod collector;
pub mod document;
pub mod eventually;
pub mod exact_bodies;
pub mod folder;
pub mod foreign;
pub mod generated;
pub mod guard;
pub mod http_client;
pub mod hundred_endpoints;
pub mod image;
pub mod load;
pub mod memory_limit;
pub mod mongod;
pub mod output;
pub mod pair;
pub mod ports;
pub mod process;
pub mod program;
pub mod rabbitmq;
pub mod random;
pub mod rate_limited;
pub mod raw_http;
pub mod raw_receiver;
pub mod readiness;
pub mod receiver;
pub mod replica_set;
pub mod retried_trace;
pub mod retry_waits;
pub mod small_disk;
pub mod statistics;
pub mod stored_log;
pub mod tcp_proxy;
pub mod timed_event;
pub mod world;

use std::env;
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Returns the workspace folder, with `.local` and `Cargo.toml`: the one set by cargo at run
/// time, or else at build time.
pub fn workspace() -> PathBuf {
    let built_in = env!("CARGO_MANIFEST_DIR");
    let crate_folder = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| built_in.into());
    let crate_folder = Path::new(&crate_folder);
    crate_folder.parent().unwrap_or(crate_folder).to_owned()
}

/// Returns the value, or fails the test with the error and its causes.
#[track_caller]
#[expect(clippy::panic, reason = "a broken harness can only fail its test")]
pub fn or_fail<T>(what: impl Display, result: anyhow::Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:#}"),
    }
}
