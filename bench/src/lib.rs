//! Cost of one message in the programs themselves, without sockets and servers.
//!
//! Fixed events, and the path of one message over the programs' own functions, for the
//! micro-benchmarks (`benches/message.rs`) and for instruction counts (`wahook-instructions`).
//! Times and ids are parameters, so each run does the same work.

pub mod accept;
pub mod deliver;
pub mod fixed;
pub mod wire;
