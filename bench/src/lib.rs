//! What does one message cost the programs themselves, apart from sockets and servers?
//!
//! Fixed events, and the way of one message as functions over the programs' own: for the
//! micro-benchmarks (`benches/message.rs`) and for counting instructions
//! (`wahook-instructions`). Times and ids come in as values, so that each run does the same.

pub mod accept;
pub mod deliver;
pub mod fixed;
pub mod wire;
