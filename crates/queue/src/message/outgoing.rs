//! Message with its address.

use bytes::Bytes;
use std::time::Duration;

use super::{metadata::MessageMetadata, stored::Stored};

/// Message to publish: persistent, and with an id, by construction.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) metadata: MessageMetadata,
    pub(crate) payload: Bytes,
    /// Limit of the wait in a wait queue, if it is shorter than the queue's.
    pub(crate) expires_after: Option<Duration>,
}

impl Outgoing {
    /// Returns the exchange and the routing key.
    #[must_use]
    pub fn address(&self) -> (&str, &str) {
        (&self.exchange, &self.routing_key)
    }

    /// Returns the metadata.
    #[must_use]
    pub fn metadata(&self) -> &MessageMetadata {
        &self.metadata
    }

    /// Returns the event's body.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    pub(crate) fn new(
        exchange: String,
        routing_key: String,
        metadata: MessageMetadata,
        payload: Bytes,
    ) -> Self {
        Self {
            exchange,
            routing_key,
            metadata,
            payload,
            expires_after: None,
        }
    }
}

impl From<Outgoing> for Stored {
    fn from(outgoing: Outgoing) -> Self {
        Self {
            metadata: outgoing.metadata,
            payload: outgoing.payload,
        }
    }
}
