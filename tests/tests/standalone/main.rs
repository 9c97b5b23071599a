//! `wahook`: the whole system in one process, and its data file.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod crashes;
mod dead;
mod front;
mod full_disk;
mod large_events;
mod life;
mod migration;
mod poison;
mod start;
mod system;
mod watch;
