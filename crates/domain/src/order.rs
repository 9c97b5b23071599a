//! Order of events that share a key: one at a time for each key, keys side by side.

mod chat;
mod key;
mod sequencer;

pub use key::{BUCKETS, InvalidOrderKey, InvalidSentKey, OrderKey};
pub use sequencer::Sequencer;
