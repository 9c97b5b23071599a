//! Received messages and their settlement.

use bytes::Bytes;
use wahook_domain::{AttemptResult, EventId, QueuedEvent};

use crate::{
    local::{self, Lease},
    message::{DeadLetter, MessageMetadata, Parked, Poison},
    rabbitmq::{BatchedLease, Delivered, DirectLease, Properties, properties},
    settlement::Settlement,
};

/// Delivered message; its receipt must be used last.
pub struct Received {
    metadata: Metadata,
    payload: Bytes,
    /// True if the broker delivered the message before; the result of that
    /// delivery is unknown.
    pub redelivered: bool,
    /// Settles the message.
    pub receipt: Receipt,
}

/// Metadata in the form of its store; decoded once, for its purpose.
enum Metadata {
    Amqp(Properties),
    Local(MessageMetadata),
}

/// Payload with a value that lives as long.
struct HeldPayload<H> {
    payload: Bytes,
    _hold: H,
}

impl<H> AsRef<[u8]> for HeldPayload<H> {
    fn as_ref(&self) -> &[u8] {
        &self.payload
    }
}

impl<L> From<Delivered<L>> for Received
where
    Receipt: From<L>,
{
    fn from(delivered: Delivered<L>) -> Self {
        Self {
            metadata: Metadata::Amqp(delivered.properties),
            payload: delivered.payload,
            redelivered: delivered.redelivered,
            receipt: delivered.lease.into(),
        }
    }
}

impl From<local::Delivered> for Received {
    fn from(delivered: local::Delivered) -> Self {
        Self {
            metadata: Metadata::Local(delivered.message.metadata),
            payload: delivered.message.payload,
            redelivered: delivered.redelivered,
            receipt: Receipt(AckPath::Local(delivered.lease)),
        }
    }
}

impl Received {
    /// Returns the size of the payload in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.payload.len()
    }

    /// Keeps `hold` until the last reference to the payload is dropped.
    #[must_use]
    pub fn held_by(mut self, hold: impl Send + 'static) -> Self {
        self.payload = Bytes::from_owner(HeldPayload {
            payload: self.payload,
            _hold: hold,
        });
        self
    }

    /// Decodes a message of a work queue.
    pub fn event(&self) -> Result<QueuedEvent, Poison> {
        let payload = self.payload.clone();
        match &self.metadata {
            Metadata::Amqp(properties) => properties::decode_event(properties, payload),
            Metadata::Local(metadata) => metadata.clone().decode_event(payload),
        }
    }

    /// Returns the token of a marker in a lane or a parking slot; `None` for an event.
    #[must_use]
    pub fn marker(&self) -> Option<EventId> {
        match &self.metadata {
            Metadata::Amqp(properties) => properties::marker(properties),
            Metadata::Local(metadata) => match metadata.parked {
                Some(Parked::Marker) => metadata.id.clone(),
                _ => None,
            },
        }
    }

    /// Returns the state of a message in a parking slot.
    #[must_use]
    pub fn parked(&self) -> Option<Parked> {
        match &self.metadata {
            Metadata::Amqp(properties) => properties::parked(properties),
            Metadata::Local(metadata) => metadata.parked.clone(),
        }
    }

    /// Decodes a message of `wahook.dead`.
    #[must_use]
    pub fn dead_letter(&self) -> DeadLetter {
        let payload = self.payload.clone();
        match &self.metadata {
            Metadata::Amqp(properties) => properties::decode_dead_letter(properties, payload),
            Metadata::Local(metadata) => DeadLetter::new(metadata.clone(), payload),
        }
    }

    /// Decodes a message of `wahook.results`.
    pub fn result(&self) -> Result<AttemptResult, Poison> {
        let payload = self.payload.clone();
        match &self.metadata {
            Metadata::Amqp(properties) => properties::decode_result(properties, payload),
            Metadata::Local(metadata) => metadata.decode_result(payload),
        }
    }
}

/// Settles a message, once. If it is dropped unused, after a panic or a stop,
/// the message is requeued, at the latest when its channel closes.
#[derive(Debug)]
pub struct Receipt(AckPath);

/// Path of a settlement to the queue.
#[derive(Debug)]
enum AckPath {
    /// Through the subscription's ack batcher.
    Batched(BatchedLease),
    /// Written by the receipt itself.
    Direct(DirectLease),
    /// To the store within this process.
    Local(Lease),
}

impl From<BatchedLease> for Receipt {
    fn from(lease: BatchedLease) -> Self {
        Self(AckPath::Batched(lease))
    }
}

impl From<DirectLease> for Receipt {
    fn from(lease: DirectLease) -> Self {
        Self(AckPath::Direct(lease))
    }
}

/// The message's connection is closed; the broker redelivers the message.
#[derive(Debug, thiserror::Error)]
#[error("the message's connection is closed; the broker redelivers the message")]
pub struct AckError;

impl Receipt {
    /// Removes the message from its queue. A subscription's acks are written a
    /// moment later, several together where possible.
    pub async fn ack(self) -> Result<(), AckError> {
        self.settle(Settlement::Ack).await
    }

    /// Rejects the message: the broker moves it, unchanged, to the dead letters
    /// of its queue.
    pub async fn reject(self) -> Result<(), AckError> {
        self.settle(Settlement::Reject).await
    }

    /// Returns the message to its queue, to be delivered again.
    pub async fn requeue(self) -> Result<(), AckError> {
        self.settle(Settlement::Requeue).await
    }

    /// Leaves the message of a subscription, which was not processed, unsettled: the broker
    /// requeues it once the subscription and its other messages are dropped. A store within this
    /// process requeues it at once.
    pub fn leave(self) {
        match self.0 {
            AckPath::Batched(lease) => lease.leave(),
            AckPath::Local(lease) => lease.settle(Settlement::Requeue),
            AckPath::Direct(_) => {}
        }
    }

    async fn settle(self, settlement: Settlement) -> Result<(), AckError> {
        let is_settled = match self.0 {
            AckPath::Batched(lease) => lease.settle(settlement),
            AckPath::Direct(lease) => lease.settle(settlement).await,
            AckPath::Local(lease) => {
                lease.settle(settlement);
                true
            }
        };
        if is_settled { Ok(()) } else { Err(AckError) }
    }
}
