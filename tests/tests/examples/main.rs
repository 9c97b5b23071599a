//! The files of `examples/`: each receiver verifies real requests, each endpoints file is valid.

mod delivery;
mod endpoints_files;
mod receiver;
mod signatures;
