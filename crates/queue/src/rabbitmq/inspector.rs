//! Inspection of queues: their depth and their messages.
//!
//! Messages can be read only by taking them. When a look ends, the broker
//! requeues all of them, in another order and marked as redelivered; until then
//! they are hidden from other consumers. Before RabbitMQ 4.3 each look counts as
//! one of the deliveries that a queue's `x-delivery-limit` allows, so a work queue
//! must not be inspected often; dead letters and results have no limit.

use bytes::Bytes;
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, Consumer,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable},
};
use std::time::Duration;
use tokio::time::timeout;
use wahook_domain::{AttemptResult, EventId};

use super::{
    connection,
    deadline::{TimedOut, with_deadline},
    error::{BrokerError, ConnectError, is_not_found},
    properties,
    uri::BrokerUri,
};
use crate::{
    depth::Depth,
    message::{DeadLetter, Poison},
    topology::Topology,
};

/// Time without messages after which other consumers are assumed to have the
/// rest.
const IDLE_LIMIT: Duration = Duration::from_secs(1);
/// Time limit for the broker to requeue what was read.
const REQUEUE_LIMIT: Duration = Duration::from_secs(2);
/// Messages held by one subscription, before another is opened. The broker
/// allows some 2,000 channels, so a look can hold 4 million messages. (One
/// `basic.get` after the other takes 1 to 3 ms each on a quorum queue,
/// subscriptions a twentieth of that.)
const MAX_PER_SUBSCRIPTION: u16 = 2_000;

/// Connection for inspecting queues.
pub(crate) struct RemoteInspector {
    connection: Connection,
}

/// Reasons for which a queue cannot be inspected.
#[derive(Debug, thiserror::Error)]
pub enum RemoteLookError {
    /// Connecting failed.
    #[error("the broker cannot be reached: {0}")]
    Connect(#[from] ConnectError),
    /// The connection is closed.
    #[error("the connection to the broker was lost: {0}")]
    Lost(#[from] BrokerError),
    /// The broker did not answer.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// Another program reads the endpoints' declarations, or has lost its connection just now.
    #[error(
        "other programs have been reading the queue of endpoints for {} s; try again in a minute",
        waited.as_secs()
    )]
    RegistryLocked {
        /// Time limit of the wait.
        waited: Duration,
    },
    /// The broker refused to store an endpoint's declaration.
    #[error("the broker did not accept a message for the queue of endpoints")]
    NotRegistered,
}

impl From<lapin::Error> for RemoteLookError {
    fn from(error: lapin::Error) -> Self {
        Self::Lost(error.into())
    }
}

impl RemoteInspector {
    /// Connects once, and declares nothing.
    pub(crate) async fn open(uri: &BrokerUri, name: &str) -> Result<Self, RemoteLookError> {
        let connected = connection::connect(uri, name, &Topology::default()).await?;
        Ok(Self {
            connection: connected.connection,
        })
    }

    /// Returns the depth of a queue; `None` if it does not exist.
    pub(crate) async fn depth(&self, queue: &str) -> Result<Option<Depth>, RemoteLookError> {
        // The broker closes a channel that names a missing queue.
        let channel = connection::channel(&self.connection).await?;
        match with_deadline(connection::declare_passive(&channel, queue)).await? {
            Ok(declared) => {
                let _ = with_deadline(channel.close(200, "seen".into())).await;
                Ok(Some(Depth {
                    messages: declared.message_count(),
                    consumers: declared.consumer_count(),
                }))
            }
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts a look at the messages that are in the queue now; a missing queue
    /// is empty.
    pub(crate) async fn look(&self, queue: &str) -> Result<RemoteLook<'_>, RemoteLookError> {
        let depth = self.depth(queue).await?.unwrap_or_default();
        Ok(RemoteLook {
            connection: &self.connection,
            queue: queue.to_owned(),
            left: depth.messages,
            current: None,
            full: Vec::new(),
        })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) async fn close(self) {
        connection::close(&self.connection).await;
    }
}

/// Look at the messages of one queue, without those that arrive later.
pub(crate) struct RemoteLook<'a> {
    connection: &'a Connection,
    queue: String,
    left: u32,
    current: Option<Subscription>,
    full: Vec<Subscription>,
}

struct Subscription {
    channel: Channel,
    consumer: Consumer,
    held: u16,
}

impl RemoteLook<'_> {
    /// Reads the next message; `None` after the last one.
    pub(crate) async fn next(&mut self) -> Result<Option<RemoteSeen>, RemoteLookError> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut subscription = match self.current.take() {
            Some(current) => current,
            None => self.subscribe().await?,
        };
        let Ok(next) = timeout(IDLE_LIMIT, subscription.consumer.next()).await else {
            self.left = 0;
            self.full.push(subscription);
            return Ok(None);
        };
        let Some(delivery) = next.transpose()? else {
            // The queue was deleted.
            self.left = 0;
            return Ok(None);
        };
        self.left -= 1;
        subscription.held += 1;
        if subscription.held < MAX_PER_SUBSCRIPTION {
            self.current = Some(subscription);
        } else {
            self.full.push(subscription);
        }
        Ok(Some(RemoteSeen {
            properties: delivery.properties,
            payload: delivery.data.into(),
        }))
    }

    /// Ends the look; all messages are requeued. Waits for that, so that the next reader finds them.
    pub(crate) async fn requeue(self) {
        let subscriptions: Vec<_> = self.full.into_iter().chain(self.current).collect();
        let held = subscriptions.iter().map(|of| u32::from(of.held)).sum();
        let others = connection::count_ready(self.connection, &self.queue);
        let others = timeout(REQUEUE_LIMIT, others).await;
        for subscription in subscriptions {
            subscription.requeue().await;
        }
        if held > 0
            && let Ok(Ok((watch, others))) = others
        {
            let all = others.saturating_add(held);
            let _ = connection::until_ready(&watch, &self.queue, all, REQUEUE_LIMIT).await;
            let _ = with_deadline(watch.close(200, "seen".into())).await;
        }
    }

    async fn subscribe(&self) -> Result<Subscription, RemoteLookError> {
        let channel = connection::channel(self.connection).await?;
        let qos = channel.basic_qos(MAX_PER_SUBSCRIPTION, BasicQosOptions::default());
        with_deadline(qos).await??;
        let options = BasicConsumeOptions::default();
        let queue = self.queue.as_str().into();
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default());
        let consumer = with_deadline(consumer).await??;
        Ok(Subscription {
            channel,
            consumer,
            held: 0,
        })
    }
}

/// Delivery tag of all messages of a channel.
pub(super) const ALL_UNACKED: u64 = 0;
/// Requeues all messages of a channel.
pub(super) const REQUEUE_ALL: BasicNackOptions = BasicNackOptions {
    multiple: true,
    requeue: true,
};

impl Subscription {
    /// Requeues all messages and closes the channel. If the connection is closed, the broker
    /// requeues the messages by itself.
    async fn requeue(self) {
        let Self {
            channel, consumer, ..
        } = self;
        // The messages must not be redelivered to this subscription.
        let cancel = channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
        let _ = with_deadline(cancel).await;
        let _ = with_deadline(channel.basic_nack(ALL_UNACKED, REQUEUE_ALL)).await;
        let _ = with_deadline(channel.close(200, "seen".into())).await;
    }
}

/// Message that a look has read.
pub(crate) struct RemoteSeen {
    properties: BasicProperties,
    payload: Bytes,
}

impl RemoteSeen {
    pub(crate) fn id(&self) -> Option<EventId> {
        EventId::parse(self.properties.message_id().as_ref()?.as_str()).ok()
    }

    pub(crate) fn deliveries(&self) -> u64 {
        match properties::header(&self.properties, "x-delivery-count") {
            Some(AMQPValue::LongLongInt(count)) => u64::try_from(*count).unwrap_or_default(),
            _ => 0,
        }
    }

    pub(crate) fn dead_letter(self) -> DeadLetter {
        properties::decode_dead_letter(&self.properties, self.payload)
    }

    pub(crate) fn result(self) -> Result<AttemptResult, Poison> {
        properties::decode_result(&self.properties, self.payload)
    }
}
