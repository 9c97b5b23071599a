//! Connection for consuming, and the messages that its subscriptions deliver.
//!
//! Publishing has another connection: an alarm blocks publishing connections,
//! and must never block an ack.

use bytes::Bytes;
use lapin::{
    Acker, BasicProperties, Channel, Connection,
    message::Delivery,
    options::{BasicConsumeOptions, BasicGetOptions, BasicQosOptions},
    types::FieldTable,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use wahook_domain::{AttemptResult, QueuedEvent};

use crate::{
    acks::{self, BatchedLease},
    broker::{self, Broker, ConnectError},
    local::{Command, Lease, LocalSubscription, Settlement, SharedQueue, Tag},
    message::{DeadLetter, MessageMetadata, Poison, Stored},
    rabbitmq::properties,
    subscription::{Remote, Subscription},
    topology::Topology,
};

/// Time limit for a step at the broker. After it, the connection is dead or the
/// queue has no leader.
pub(crate) const STEP_LIMIT: Duration = Duration::from_secs(10);

/// Connection for consuming, to RabbitMQ or to a queue within this process.
pub struct ConsumerConnection(Backend);

enum Backend {
    RabbitMq {
        connection: Box<Connection>,
        /// True once the connection is closing; the ack writers watch it.
        closing: watch::Sender<bool>,
    },
    Local(SharedQueue),
}

impl ConsumerConnection {
    /// Connects once, under a deadline, and declares `topology`.
    pub async fn connect(
        broker: &Broker,
        name: &str,
        topology: &Topology,
    ) -> Result<Self, ConnectError> {
        let backend = match broker {
            Broker::RabbitMq(uri) => Backend::RabbitMq {
                connection: Box::new(broker::connect(uri, name, topology).await?),
                closing: watch::Sender::new(false),
            },
            Broker::Local(queue) => {
                queue.submit(Command::Declare(topology.clone()));
                Backend::Local(Arc::clone(queue))
            }
        };
        Ok(Self(backend))
    }

    /// Subscribes to a queue, with at most `prefetch` unacked messages.
    pub async fn subscribe(
        &self,
        queue: &str,
        prefetch: u16,
    ) -> Result<Subscription, ConnectError> {
        let (connection, closing) = match &self.0 {
            Backend::RabbitMq {
                connection,
                closing,
            } => (connection, closing),
            Backend::Local(local) => {
                let subscription = LocalSubscription::begin(Arc::clone(local), queue, prefetch);
                return Ok(Subscription::local(subscription));
            }
        };
        let channel = Arc::new(broker::channel(connection).await?);
        let subscribe = async {
            channel
                .basic_qos(prefetch, BasicQosOptions::default())
                .await?;
            let (tag, options) = ("".into(), BasicConsumeOptions::default());
            channel
                .basic_consume(queue.into(), tag, options, FieldTable::default())
                .await
        };
        let consumer = within_step(queue, &channel, subscribe).await?;
        let (settlements, settled) = mpsc::unbounded_channel();
        let writing = acks::write_acks(settled, closing.subscribe());
        let open = Arc::clone(&channel);
        tokio::spawn(async move {
            writing.await;
            // A message can only be settled on the channel that delivered it.
            drop(open);
        });
        Ok(Subscription::remote(Remote {
            channel,
            consumer,
            prefetch,
            settlements,
        }))
    }

    /// Declares a changed topology and removes its obsolete bindings.
    pub async fn declare(&self, topology: &Topology) -> Result<(), ConnectError> {
        match &self.0 {
            Backend::RabbitMq { connection, .. } => broker::declare(connection, topology).await,
            Backend::Local(queue) => {
                queue.submit(Command::Declare(topology.clone()));
                Ok(())
            }
        }
    }

    /// Takes one message without a subscription; `None` if the queue is empty.
    pub async fn take_one(&self, queue: &str) -> Result<Option<Received>, ConnectError> {
        let connection = match &self.0 {
            Backend::RabbitMq { connection, .. } => connection,
            Backend::Local(local) => {
                let (sender, taken) = oneshot::channel();
                local.submit(Command::Take(queue.to_owned(), sender));
                // A closed store has no messages.
                return Ok(taken.await.unwrap_or_default());
            }
        };
        let channel = Arc::new(broker::channel(connection).await?);
        let get = channel.basic_get(queue.into(), BasicGetOptions::default());
        let got = within_step(queue, &channel, get).await?;
        Ok(got.map(|got| {
            Received::from_delivery(got.delivery, |acker| Receipt::direct(acker, Some(channel)))
        }))
    }

    /// Returns the number of messages in a queue within this process; 0 for
    /// RabbitMQ, where [`Inspector`](crate::Inspector) returns the depth.
    pub(crate) async fn depth(&self, queue: &str) -> u32 {
        let Backend::Local(local) = &self.0 else {
            return 0;
        };
        let (sender, counted) = oneshot::channel();
        local.submit(Command::Depth(queue.to_owned(), sender));
        counted.await.unwrap_or_default()
    }

    /// Opens a channel for reading a queue's number of consumers.
    pub async fn observe(&self, queue: &str) -> Result<Observer, ConnectError> {
        let backend = match &self.0 {
            Backend::RabbitMq { connection, .. } => {
                ObserverBackend::RabbitMq(broker::channel(connection).await?)
            }
            Backend::Local(local) => ObserverBackend::Local(Arc::clone(local)),
        };
        Ok(Observer {
            backend,
            queue: queue.to_owned(),
        })
    }

    /// Writes pending acks, then closes the connection; the broker redelivers
    /// unacked messages.
    pub async fn close(&self) {
        match &self.0 {
            Backend::RabbitMq {
                connection,
                closing,
            } => {
                closing.send_replace(true);
                let _ = timeout(acks::WRITE_LIMIT, closing.closed()).await;
                broker::close(connection).await;
            }
            // An unsettled message is requeued when it is dropped.
            Backend::Local(_) => {}
        }
    }
}

/// Runs a step on a channel, and closes the channel if the step takes too long.
/// An open channel would receive messages once the broker gets to the step, and
/// nothing would ever read them.
async fn within_step<T>(
    queue: &str,
    channel: &Channel,
    step: impl Future<Output = lapin::Result<T>>,
) -> Result<T, ConnectError> {
    if let Ok(done) = timeout(STEP_LIMIT, step).await {
        return Ok(done?);
    }
    let abandoned = channel.clone();
    tokio::spawn(async move { abandoned.close(200, "step timed out".into()).await });
    Err(ConnectError::NoSubscription {
        queue: queue.to_owned(),
    })
}

/// Reads the number of consumers of one queue.
pub struct Observer {
    backend: ObserverBackend,
    queue: String,
}

enum ObserverBackend {
    RabbitMq(Channel),
    Local(SharedQueue),
}

impl Observer {
    /// Returns the number of consumers that are subscribed now.
    pub async fn consumers(&self) -> Result<u32, ConnectError> {
        match &self.backend {
            ObserverBackend::RabbitMq(channel) => {
                let declare = broker::declare_passive(channel, &self.queue);
                let queue = within_step(&self.queue, channel, declare).await?;
                Ok(queue.consumer_count())
            }
            ObserverBackend::Local(local) => {
                let (sender, counted) = oneshot::channel();
                local.submit(Command::Count(self.queue.clone(), sender));
                Ok(counted.await.unwrap_or_default())
            }
        }
    }
}

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
    Amqp(BasicProperties),
    Local(MessageMetadata),
}

impl Received {
    pub(crate) fn from_delivery(
        delivery: Delivery,
        receipt: impl FnOnce(Acker) -> Receipt,
    ) -> Self {
        Self {
            metadata: Metadata::Amqp(delivery.properties),
            payload: Bytes::from(delivery.data),
            redelivered: delivery.redelivered,
            receipt: receipt(delivery.acker),
        }
    }

    /// Creates a message of a store within this process, which identifies it by
    /// `tag`.
    #[must_use]
    pub fn local(message: Stored, redelivered: bool, tag: Tag, queue: SharedQueue) -> Self {
        Self {
            metadata: Metadata::Local(message.metadata),
            payload: message.payload,
            redelivered,
            receipt: Receipt(AckPath::Local(Lease::new(queue, tag))),
        }
    }

    /// Decodes a message of a work queue.
    pub fn event(&self) -> Result<QueuedEvent, Poison> {
        let payload = self.payload.clone();
        match &self.metadata {
            Metadata::Amqp(properties) => properties::decode_event(properties, payload),
            Metadata::Local(metadata) => metadata.clone().decode_event(payload),
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
    /// Written by the receipt itself. Keeps the channel open where nothing else
    /// does: a message can only be settled on its channel.
    Direct(Acker, Option<Arc<Channel>>),
    /// To the store within this process.
    Local(Lease),
}

/// The message's connection is closed; the broker redelivers the message.
#[derive(Debug, thiserror::Error)]
#[error("the message's connection is closed; the broker redelivers the message")]
pub struct AckError;

impl Receipt {
    /// Creates the receipt of a subscription's message.
    pub(crate) fn batched(lease: BatchedLease) -> Self {
        Self(AckPath::Batched(lease))
    }

    /// Creates the receipt of a message that was fetched without a
    /// subscription. Without `channel`, the caller keeps the channel open.
    pub(crate) fn direct(acker: Acker, channel: Option<Arc<Channel>>) -> Self {
        Self(AckPath::Direct(acker, channel))
    }

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

    async fn settle(self, settlement: Settlement) -> Result<(), AckError> {
        let is_settled = match self.0 {
            AckPath::Batched(lease) => lease.settle(settlement),
            AckPath::Direct(acker, _channel) => acks::write_ack(&acker, settlement).await,
            AckPath::Local(lease) => {
                lease.settle(settlement);
                true
            }
        };
        if is_settled { Ok(()) } else { Err(AckError) }
    }
}
