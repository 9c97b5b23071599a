//! Store and forward: events that the broker can't take are stored in a local file, and are
//! forwarded in their order once it can.
//!
//! The file is a store of `wahook-embedded` with one queue. While it has events, new ones are
//! stored behind them, so that none overtakes another.

mod amounts;
mod file;
mod forwarder;
mod metrics;
mod open;
mod readiness;

pub(crate) use file::{NotStored, Spool};
pub(crate) use open::OpenSpool;
