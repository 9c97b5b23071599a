//! Taking work: a connection for consuming alone (so that an alarm, which
//! blocks publishing connections, never blocks an ack), and the messages that
//! its subscriptions hand out.

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
    acks::{self, Ending, GatheredLease},
    broker::{self, Broker, ConnectError},
    dead_letters::DeadLetter,
    local::{Command, Lease, LocalSubscription, Settlement, SharedQueue, Tag},
    message::{self, Poison},
    result_message,
    stored::Stored,
    subscription::{Remote, Subscription},
    topology::Topology,
};

/// How long the broker may take for a step: longer, and the connection is dead,
/// or the queue has no leader.
pub(crate) const STEP_LIMIT: Duration = Duration::from_secs(10);

/// A connection for consuming.
pub struct ConsumerConnection(Source);

/// Where the messages are.
enum Source {
    RabbitMq {
        connection: Box<Connection>,
        /// Whether it is being closed; watched by those who write acks.
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
        let source = match broker {
            Broker::RabbitMq(uri) => Source::RabbitMq {
                connection: Box::new(broker::connect(uri, name, topology).await?),
                closing: watch::Sender::new(false),
            },
            Broker::Local(queue) => {
                queue.submit(Command::Declare(topology.clone()));
                Source::Local(Arc::clone(queue))
            }
        };
        Ok(Self(source))
    }

    /// Subscribes to a queue; at most `prefetch` of its messages are handed out
    /// and not yet acknowledged.
    pub async fn subscribe(
        &self,
        queue: &str,
        prefetch: u16,
    ) -> Result<Subscription, ConnectError> {
        let (connection, closing) = match &self.0 {
            Source::RabbitMq {
                connection,
                closing,
            } => (connection, closing),
            Source::Local(local) => {
                let begun = LocalSubscription::begin(Arc::clone(local), queue, prefetch);
                return Ok(Subscription::local(begun));
            }
        };
        let channel = Arc::new(broker::channel(connection).await?);
        let steps = async {
            channel
                .basic_qos(prefetch, BasicQosOptions::default())
                .await?;
            let (tag, options) = ("".into(), BasicConsumeOptions::default());
            channel
                .basic_consume(queue.into(), tag, options, FieldTable::default())
                .await
        };
        let consumer = within_step(queue, &channel, steps).await?;
        let (endings, ended) = mpsc::unbounded_channel();
        let telling = acks::tell(ended, closing.subscribe());
        let open = Arc::clone(&channel);
        tokio::spawn(async move {
            telling.await;
            // Messages can only be ended on the channel that handed them out.
            drop(open);
        });
        Ok(Subscription::remote(Remote {
            channel,
            consumer,
            prefetch,
            endings,
        }))
    }

    /// Declares what is new in another topology, and takes away what is obsolete.
    pub async fn declare(&self, topology: &Topology) -> Result<(), ConnectError> {
        match &self.0 {
            Source::RabbitMq { connection, .. } => broker::declare(connection, topology).await,
            Source::Local(queue) => {
                queue.submit(Command::Declare(topology.clone()));
                Ok(())
            }
        }
    }

    /// One message, where there is one, without a subscription.
    pub async fn take_one(&self, queue: &str) -> Result<Option<Received>, ConnectError> {
        let connection = match &self.0 {
            Source::RabbitMq { connection, .. } => connection,
            Source::Local(local) => {
                let (sender, taken) = oneshot::channel();
                local.submit(Command::Take(queue.to_owned(), sender));
                // A store that is gone has none.
                return Ok(taken.await.unwrap_or_default());
            }
        };
        let channel = Arc::new(broker::channel(connection).await?);
        let get = channel.basic_get(queue.into(), BasicGetOptions::default());
        let got = within_step(queue, &channel, get).await?;
        Ok(got.map(|got| Received::of(got.delivery, |acker| Receipt::alone(acker, Some(channel)))))
    }

    /// How many messages a queue within this process holds; 0 of RabbitMQ, which
    /// [`Inspector`](crate::Inspector) asks.
    pub(crate) async fn depth(&self, queue: &str) -> u32 {
        let Source::Local(local) = &self.0 else {
            return 0;
        };
        let (sender, counted) = oneshot::channel();
        local.submit(Command::Depth(queue.to_owned(), sender));
        counted.await.unwrap_or_default()
    }

    /// A channel to ask about a queue.
    pub async fn observe(&self, queue: &str) -> Result<Observer, ConnectError> {
        let of = match &self.0 {
            Source::RabbitMq { connection, .. } => {
                Observed::RabbitMq(broker::channel(connection).await?)
            }
            Source::Local(local) => Observed::Local(Arc::clone(local)),
        };
        Ok(Observer {
            of,
            queue: queue.to_owned(),
        })
    }

    /// Closes the connection once the acks that were given are written; the
    /// broker hands out anew what was not acknowledged.
    pub async fn close(&self) {
        match &self.0 {
            Source::RabbitMq {
                connection,
                closing,
            } => {
                closing.send_replace(true);
                let _ = timeout(acks::WRITE_LIMIT, closing.closed()).await;
                broker::close(connection).await;
            }
            // Each message that is dropped before it was settled goes back by itself.
            Source::Local(_) => {}
        }
    }
}

/// A step on a channel, which is closed where the step takes too long. Left open,
/// it would be handed messages once the broker gets to the step, and nobody would
/// ever take them.
async fn within_step<T>(
    queue: &str,
    channel: &Channel,
    step: impl Future<Output = lapin::Result<T>>,
) -> Result<T, ConnectError> {
    if let Ok(done) = timeout(STEP_LIMIT, step).await {
        return Ok(done?);
    }
    let given_up = channel.clone();
    tokio::spawn(async move { given_up.close(200, "given up".into()).await });
    Err(ConnectError::NoSubscription {
        queue: queue.to_owned(),
    })
}

/// Asks about one queue.
pub struct Observer {
    of: Observed,
    queue: String,
}

enum Observed {
    RabbitMq(Channel),
    Local(SharedQueue),
}

impl Observer {
    /// How many consumers are subscribed to it right now.
    pub async fn consumers(&self) -> Result<u32, ConnectError> {
        match &self.of {
            Observed::RabbitMq(channel) => {
                let question = broker::look_at(channel, &self.queue);
                let answer = within_step(&self.queue, channel, question).await?;
                Ok(answer.consumer_count())
            }
            Observed::Local(local) => {
                let (sender, counted) = oneshot::channel();
                local.submit(Command::Count(self.queue.clone(), sender));
                Ok(counted.await.unwrap_or_default())
            }
        }
    }
}

/// A message that was handed out, to be acknowledged last of all.
pub struct Received {
    properties: BasicProperties,
    payload: Bytes,
    /// The broker has handed it out before: what became of that is unknown.
    pub redelivered: bool,
    /// What to give back to the broker in the end.
    pub receipt: Receipt,
}

impl Received {
    pub(crate) fn of(delivery: Delivery, receipt: impl FnOnce(Acker) -> Receipt) -> Self {
        Self {
            properties: delivery.properties,
            payload: Bytes::from(delivery.data),
            redelivered: delivery.redelivered,
            receipt: receipt(delivery.acker),
        }
    }

    /// A message of a store within this process, which it calls `tag`.
    #[must_use]
    pub fn local(message: Stored, redelivered: bool, tag: Tag, queue: SharedQueue) -> Self {
        Self {
            properties: message.properties,
            payload: message.payload,
            redelivered,
            receipt: Receipt(Right::Local(Lease::new(queue, tag))),
        }
    }

    /// Reads it as a message of a work queue.
    pub fn event(&self) -> Result<QueuedEvent, Poison> {
        message::decode(&self.properties, self.payload.clone())
    }

    /// Reads it as a message of `wahook.dead`.
    #[must_use]
    pub fn letter(&self) -> DeadLetter {
        DeadLetter::read(&self.properties, self.payload.clone())
    }

    /// Reads it as a message of `wahook.results`.
    pub fn result(&self) -> Result<AttemptResult, Poison> {
        result_message::decode(&self.properties, self.payload.clone())
    }
}

/// The right to end a message, once. Dropped unused, because whoever had it
/// panicked or was stopped, the message goes back to its queue, at the latest when
/// its channel closes.
#[derive(Debug)]
pub struct Receipt(Right);

/// Who tells the broker.
#[derive(Debug)]
enum Right {
    /// Whoever gathers what the subscription's messages end with.
    Gathered(GatheredLease),
    /// The receipt itself. Keeps the channel open, where nobody else does: the
    /// message can only be ended on it.
    Alone(Acker, Option<Arc<Channel>>),
    /// The store within this process is told.
    Local(Lease),
}

/// The message's connection is gone; the broker hands it out anew.
#[derive(Debug, thiserror::Error)]
#[error("the message's connection is gone, the broker will hand it out anew")]
pub struct AckError;

impl Receipt {
    /// Of one of a subscription's messages.
    pub(crate) fn gathered(lease: GatheredLease) -> Self {
        Self(Right::Gathered(lease))
    }

    /// Of a message that was asked for by itself. Without the channel, whoever
    /// calls this keeps it open.
    pub(crate) fn alone(acker: Acker, channel: Option<Arc<Channel>>) -> Self {
        Self(Right::Alone(acker, channel))
    }

    /// The message is dealt with; the broker forgets it. A subscription's acks
    /// are written a moment later, many together where that is possible.
    pub async fn ack(self) -> Result<(), AckError> {
        self.end(Ending::Ack).await
    }

    /// The message can't be dealt with: the broker itself moves it, unchanged,
    /// to the dead letters of its queue.
    pub async fn reject(self) -> Result<(), AckError> {
        self.end(Ending::Reject).await
    }

    /// Back to its queue, to be handed out again.
    pub async fn requeue(self) -> Result<(), AckError> {
        self.end(Ending::Requeue).await
    }

    async fn end(self, ending: Ending) -> Result<(), AckError> {
        let is_told = match self.0 {
            Right::Gathered(lease) => lease.end(ending),
            Right::Alone(acker, _channel) => acks::tell_one(&acker, ending).await,
            Right::Local(lease) => {
                lease.settle(match ending {
                    Ending::Ack => Settlement::Ack,
                    Ending::Reject => Settlement::Reject,
                    Ending::Requeue => Settlement::Requeue,
                });
                true
            }
        };
        if is_told { Ok(()) } else { Err(AckError) }
    }
}
