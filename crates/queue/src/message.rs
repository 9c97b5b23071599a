//! Messages, independent of the store that holds them: metadata and payload of
//! events, results and dead letters.

mod attempt;
mod dead_letter;
mod dropped;
mod event;
pub(crate) mod header;
mod metadata;
mod moved;
mod outgoing;
mod parked;
mod poison;
mod result;
mod stored;

pub use attempt::{LoggedAttempt, QueuedAttempt};
pub use dead_letter::DeadLetter;
pub use dropped::DROPPED;
pub use metadata::{Death, DeathReason, MessageMetadata};
pub use outgoing::Outgoing;
pub use parked::Parked;
pub use poison::{Poison, WIRE_VERSION};
pub use stored::Stored;
