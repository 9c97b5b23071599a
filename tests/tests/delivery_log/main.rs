//! Tests of the delivery log on a real MongoDB.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod availability;
mod broken_connection;
mod durability;
mod indexes;
mod orders;
mod payloads;
mod queries;
mod record;
mod refusals;
mod results;
mod server;
