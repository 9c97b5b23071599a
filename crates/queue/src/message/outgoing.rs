//! Message with its address.

use bytes::Bytes;
use std::time::Duration;

use wahook_domain::OrderKey;

use super::{metadata::MessageMetadata, stored::Stored};
use crate::topology;

/// Message to publish: persistent, and with an id, by construction.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub(crate) exchange: String,
    pub(crate) routing_key: String,
    pub(crate) metadata: MessageMetadata,
    pub(crate) payload: Bytes,
    /// Limit of the wait in a wait queue, if it is shorter than the queue's.
    pub(crate) expires_after: Option<Duration>,
    /// True if the message is published by its key where an endpoint has several
    /// lanes.
    pub(crate) has_key: bool,
}

impl Outgoing {
    /// Returns the exchange and the routing key.
    #[must_use]
    pub fn address(&self) -> (&str, &str) {
        (&self.exchange, &self.routing_key)
    }

    #[must_use]
    pub fn metadata(&self) -> &MessageMetadata {
        &self.metadata
    }

    /// Returns the event's body.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Returns the message of an event for the exchanges without keys: an ordered
    /// endpoint receives it in its first lane.
    #[must_use]
    pub fn without_key(self) -> Self {
        Self {
            has_key: false,
            ..self
        }
    }

    /// Returns the message with the address for its key, if it is published by key.
    pub(crate) fn by_key(self) -> Self {
        if !self.has_key {
            return self;
        }
        // Events without a key share the first bucket.
        let bucket = self.metadata.key.as_ref().map_or(0, OrderKey::bucket);
        Self {
            exchange: topology::KEYED_EXCHANGE.into(),
            routing_key: topology::keyed(bucket, &self.routing_key),
            ..self
        }
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
            has_key: false,
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
