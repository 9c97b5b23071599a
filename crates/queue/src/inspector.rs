//! Inspection of queues: their depth and their messages.
//!
//! RabbitMQ's messages can be read only by taking them; they are requeued when
//! the look ends. Before RabbitMQ 4.3 each look counts as a delivery
//! (`x-delivery-count`). 4.3 counts it apart (`x-acquired-count`, which nothing
//! limits), unless the look is cut off by the end of its connection. A data file
//! is read without taking anything.

use std::{collections::BTreeSet, sync::Arc};

use wahook_domain::{AttemptResult, EndpointName, EventId, LaneCount, Lanes};

use crate::{
    depth::Depth,
    message::{DeadLetter, Poison, Stored},
    rabbitmq::{
        BrokerUri, RemoteEndpointQueues, RemoteInspector, RemoteLook, RemoteLookError, RemoteSeen,
    },
    topology::{is_lane, queues_of_lanes, work_queue},
};

/// Queues of a data file. A trait, because the embedded store depends on this
/// crate.
pub trait StoredQueues: Send + Sync {
    /// Counts the messages of a queue, and those that wait to enter it; `None`
    /// if there is no such queue.
    fn depth(&self, queue: &str) -> Result<Option<Depth>, StoreUnreadable>;

    /// Reads the messages of a queue, and those that wait to enter it, as they
    /// are now.
    fn messages(&self, queue: &str) -> Result<StoredMessages, StoreUnreadable>;
}

/// Messages of a data file.
pub type StoredMessages = Box<dyn Iterator<Item = Result<Stored, StoreUnreadable>> + Send>;

/// Error of a data file.
#[derive(Debug, thiserror::Error)]
#[error("the data file can't be read: {0}")]
pub struct StoreUnreadable(pub String);

/// Reasons for which a queue cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error(transparent)]
    RabbitMq(#[from] RemoteLookError),
    #[error(transparent)]
    Local(#[from] StoreUnreadable),
}

/// Access to queues for inspection.
pub struct Inspector {
    backend: Backend,
    /// Lanes that consumers have declared.
    lanes: BTreeSet<(EndpointName, Lanes)>,
}

enum Backend {
    RabbitMq(RemoteInspector),
    Local(Arc<dyn StoredQueues>),
}

impl Inspector {
    /// Connects to RabbitMQ once, and declares nothing.
    pub async fn open(uri: &BrokerUri, name: &str) -> Result<Self, LookError> {
        let registry = RemoteEndpointQueues::open(uri, name).await?;
        let declared = registry.register(&BTreeSet::new()).await;
        registry.close().await;
        let declared = declared?.into_iter();
        Ok(Self {
            backend: Backend::RabbitMq(RemoteInspector::open(uri, name).await?),
            lanes: declared
                .filter_map(|d| Some((d.endpoint, d.lanes?)))
                .collect(),
        })
    }

    /// Inspects the queues of a data file.
    #[must_use]
    pub fn of_store(queues: Arc<dyn StoredQueues>) -> Self {
        Self {
            backend: Backend::Local(queues),
            lanes: BTreeSet::new(),
        }
    }

    /// Returns the queues that an endpoint has or had: its work queue, and its lanes.
    pub fn queues_of(&self, endpoint: &EndpointName) -> Vec<String> {
        let declared = self.lanes.iter().filter(|(name, _)| name == endpoint);
        let mut lanes: BTreeSet<Lanes> = declared.map(|(_, lanes)| *lanes).collect();
        if matches!(self.backend, Backend::Local(_)) {
            // A store declares nothing, and has one lane.
            lanes.insert(Lanes::Ordered(LaneCount::ONE));
        }
        let lanes = lanes.into_iter();
        let lanes = lanes.flat_map(|lanes| queues_of_lanes(endpoint, lanes));
        [work_queue(endpoint)].into_iter().chain(lanes).collect()
    }

    /// Returns the sum of the depths of an endpoint's queues; `None` if it has none.
    pub async fn endpoint_depth(
        &self,
        endpoint: &EndpointName,
    ) -> Result<Option<Depth>, LookError> {
        let mut sum: Option<Depth> = None;
        for queue in self.queues_of(endpoint) {
            if let Some(depth) = self.depth(&queue).await? {
                let sum = sum.get_or_insert_default();
                sum.messages = sum.messages.saturating_add(depth.messages);
                sum.consumers = sum.consumers.max(depth.consumers);
            }
        }
        Ok(sum)
    }

    /// Returns true if messages of the queue can be read. A look at an ordered lane of
    /// RabbitMQ would own the lane, and change what its next owner receives.
    #[must_use]
    pub fn is_readable(&self, queue: &str) -> bool {
        matches!(self.backend, Backend::Local(_)) || !is_lane(queue)
    }

    /// Returns the depth of a queue; `None` if it does not exist.
    pub async fn depth(&self, queue: &str) -> Result<Option<Depth>, LookError> {
        match &self.backend {
            Backend::RabbitMq(remote) => Ok(remote.depth(queue).await?),
            Backend::Local(queues) => Ok(queues.depth(queue)?),
        }
    }

    /// Starts a look at the messages that are in the queue now; a missing queue
    /// is empty.
    pub async fn look(&self, queue: &str) -> Result<Look<'_>, LookError> {
        match &self.backend {
            Backend::RabbitMq(remote) => {
                let look = Box::new(remote.look(queue).await?);
                Ok(Look(Messages::RabbitMq(look)))
            }
            Backend::Local(queues) => Ok(Look(Messages::Local(queues.messages(queue)?))),
        }
    }

    pub async fn close(self) {
        if let Backend::RabbitMq(remote) = self.backend {
            remote.close().await;
        }
    }
}

/// Look at the messages of one queue, without those that arrive later.
pub struct Look<'a>(Messages<'a>);

enum Messages<'a> {
    RabbitMq(Box<RemoteLook<'a>>),
    Local(StoredMessages),
}

impl Look<'_> {
    /// Reads the next message; `None` after the last one.
    pub async fn next(&mut self) -> Result<Option<Seen>, LookError> {
        match &mut self.0 {
            Messages::RabbitMq(look) => Ok(look.next().await?.map(|seen| Seen(Form::Amqp(seen)))),
            Messages::Local(messages) => {
                let next = messages.next().transpose()?;
                Ok(next.map(|message| Seen(Form::Local(message))))
            }
        }
    }

    /// Ends the look; all messages are in the queue again.
    pub async fn requeue(self) {
        if let Messages::RabbitMq(look) = self.0 {
            look.requeue().await;
        }
    }
}

/// Message that a look has read.
pub struct Seen(Form);

enum Form {
    Amqp(RemoteSeen),
    Local(Stored),
}

impl Seen {
    /// Returns the event's id, if it is valid.
    #[must_use]
    pub fn id(&self) -> Option<EventId> {
        match &self.0 {
            Form::Amqp(seen) => seen.id(),
            Form::Local(message) => message.metadata.id.clone(),
        }
    }

    /// Returns the number of earlier deliveries that count towards the delivery limit. Before
    /// RabbitMQ 4.3 each look adds one.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        match &self.0 {
            Form::Amqp(seen) => seen.deliveries(),
            Form::Local(_) => 0,
        }
    }

    /// Decodes a message of `wahook.dead`.
    #[must_use]
    pub fn dead_letter(self) -> DeadLetter {
        match self.0 {
            Form::Amqp(seen) => seen.dead_letter(),
            Form::Local(message) => DeadLetter::new(message.metadata, message.payload),
        }
    }

    /// Decodes a message of `wahook.results`.
    pub fn result(self) -> Result<AttemptResult, Poison> {
        match self.0 {
            Form::Amqp(seen) => seen.result(),
            Form::Local(message) => message.metadata.decode_result(message.payload),
        }
    }
}
