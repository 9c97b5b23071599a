//! Message in a store.

use bytes::Bytes;
use wahook_domain::{QueuedEvent, UnixMillis};

use super::{
    metadata::{Death, DeathReason, MessageMetadata},
    poison::Poison,
};

/// Complete message, without its place in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub metadata: MessageMetadata,
    /// Body of the event.
    pub payload: Bytes,
}

impl Stored {
    /// Decodes the event.
    ///
    /// # Errors
    /// When the message cannot be decoded.
    pub fn content(&self) -> Result<QueuedEvent, Poison> {
        self.metadata.clone().decode_event(self.payload.clone())
    }

    /// Returns the message with a copy of its bytes, which releases the memory
    /// reservation of the first.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            metadata: self.metadata.clone(),
            payload: Bytes::copy_from_slice(&self.payload),
        }
    }

    /// Returns the message as a dead letter: with a record of its queue, the
    /// reason and the time.
    #[must_use]
    pub fn died(mut self, queue: &str, reason: DeathReason, now: UnixMillis) -> Self {
        self.metadata.death = Some(Death {
            queue: Some(queue.to_owned()),
            reason: reason.as_str().to_owned(),
            at: Some(now),
        });
        self
    }
}
