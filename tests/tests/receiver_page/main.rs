//! Page of the test receiver in a real browser, and its HTTP API.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod answers;
mod copying;
mod detail;
mod hostile;
mod http;
mod keyboard;
mod limits;
mod list;
mod picture;
mod stage;
mod whole_way;
