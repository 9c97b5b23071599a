//! Order of events that share a key: one at a time for each key, keys side by side.

mod chat;
mod key;
mod parking;
mod resume;
mod scope;
mod sequencer;

pub use chat::Named;
pub use key::{BUCKETS, InvalidOrderKey, InvalidSentKey, OrderKey};
pub use parking::{Parking, Place};
pub use resume::Resume;
pub use scope::Order;
pub use sequencer::Sequencer;
