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
mod damage;
mod dead;
mod files;
mod full_disk;
mod hostile_producer;
mod import_files;
mod life;
mod migration;
mod poison;
mod space;
mod start;
mod system;
mod watch;
