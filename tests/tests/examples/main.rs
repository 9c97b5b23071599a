//! The files of `examples/`: each receiver verifies real requests, each endpoints file is valid.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod delivery;
mod endpoints_files;
mod receiver;
mod signatures;
