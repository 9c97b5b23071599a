//! Real servers, real programs and a real receiver for the end-to-end tests.
//!
//! Everything runs on loopback, in a folder of its own, on ports of its own, and is gone
//! when its owner is gone, even by `kill -9`. A part that fails says why and fails the test.
//! Methods named `try_…` return the failure instead.

pub mod eventually;
pub mod folder;
pub mod guard;
pub mod http_client;
pub mod mongod;
pub mod output;
pub mod pair;
pub mod ports;
pub mod program;
pub mod rabbitmq;
pub mod receiver;

use std::fmt::Display;

/// Fails the test with the whole story of the error.
#[track_caller]
#[expect(clippy::panic, reason = "a broken harness can only fail its test")]
fn or_fail<T>(what: impl Display, result: anyhow::Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:#}"),
    }
}
