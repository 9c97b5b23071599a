//! Looking at queues: how much they hold, and what.
//!
//! Messages can be read only by taking them. When the look ends the broker puts
//! all of them back, in another order and marked as redelivered; until then they
//! are hidden from everybody else. Each look is one of the deliveries that a
//! queue's `x-delivery-limit` allows, so a work queue must not be looked at
//! often (see [`Seen::deliveries`]); dead letters and results have no limit.

use bytes::Bytes;
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, Consumer,
    options::{BasicConsumeOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable},
};
use std::{future::Future, time::Duration};
use tokio::time::timeout;
use wahook_domain::{AttemptResult, EventId};

use crate::{
    broker::{self, BrokerUri, ConnectError},
    dead_letters::DeadLetter,
    message::{self, Poison},
    result_message,
    topology::Topology,
};

/// A step that takes longer belongs to a dead connection.
const STEP_LIMIT: Duration = Duration::from_secs(10);
/// When nothing has come for this long, somebody else has taken the rest.
const IDLE_LIMIT: Duration = Duration::from_secs(1);
/// Messages held by one subscription; then another is opened. The broker allows
/// some 2,000 channels, so a look can hold 4 million messages. (One `basic.get`
/// after the other takes a quorum queue 1 to 3 ms each, subscriptions a
/// twentieth of that.)
const HELD_BY_ONE: u16 = 2_000;

/// A connection for looking.
pub struct Inspector {
    connection: Connection,
}

/// How much a queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that are not in anybody's hands.
    pub messages: u32,
    /// Subscriptions.
    pub consumers: u32,
}

/// Why a queue can't be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// No connection.
    #[error("the broker can't be reached: {0}")]
    Connect(#[from] ConnectError),
    /// The connection is gone.
    #[error("the broker was lost: {0}")]
    Lost(#[from] lapin::Error),
    /// The broker did not answer.
    #[error("no answer from the broker within {} s", STEP_LIMIT.as_secs())]
    TimedOut,
}

impl Inspector {
    /// Connects once; declares nothing.
    pub async fn open(uri: &BrokerUri, name: &str) -> Result<Self, LookError> {
        let connection = broker::connect(uri, name, &Topology::default()).await?;
        Ok(Self { connection })
    }

    /// How much the queue holds; `None` where there is no such queue.
    pub async fn depth(&self, queue: &str) -> Result<Option<Depth>, LookError> {
        // The broker closes a channel over a queue that is not there.
        let channel = broker::channel(&self.connection).await?;
        match within_limit(broker::look_at(&channel, queue)).await {
            Ok(declared) => {
                put_back(&channel).await;
                Ok(Some(Depth {
                    messages: declared.message_count(),
                    consumers: declared.consumer_count(),
                }))
            }
            Err(LookError::Lost(error)) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins to look at what is in the queue now; a queue that is not there
    /// holds nothing.
    pub async fn look(&self, queue: &str) -> Result<Look<'_>, LookError> {
        let depth = self.depth(queue).await?.unwrap_or_default();
        Ok(Look {
            connection: &self.connection,
            queue: queue.to_owned(),
            left: depth.messages,
            current: None,
            full: Vec::new(),
        })
    }

    /// Closes the connection.
    pub async fn close(self) {
        broker::close(&self.connection).await;
    }
}

/// A look at one queue. It ends: what arrives later is not seen.
pub struct Look<'a> {
    connection: &'a Connection,
    queue: String,
    left: u32,
    current: Option<Subscription>,
    full: Vec<Channel>,
}

struct Subscription {
    channel: Channel,
    consumer: Consumer,
    held: u16,
}

impl Look<'_> {
    /// How many are still to be seen.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.left
    }

    /// The next message, `None` when all were seen.
    pub async fn next(&mut self) -> Result<Option<Seen>, LookError> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut subscription = match self.current.take() {
            Some(current) => current,
            None => self.subscribe().await?,
        };
        let Ok(next) = timeout(IDLE_LIMIT, subscription.consumer.next()).await else {
            self.left = 0;
            self.full.push(subscription.channel);
            return Ok(None);
        };
        let Some(delivery) = next.transpose()? else {
            // The queue was deleted.
            self.left = 0;
            return Ok(None);
        };
        self.left -= 1;
        subscription.held += 1;
        if subscription.held < HELD_BY_ONE {
            self.current = Some(subscription);
        } else {
            self.full.push(subscription.channel);
        }
        Ok(Some(Seen {
            properties: delivery.properties,
            payload: delivery.data.into(),
        }))
    }

    /// Ends the look: everything is put back.
    pub async fn put_back(self) {
        for channel in &self.full {
            put_back(channel).await;
        }
        if let Some(current) = &self.current {
            put_back(&current.channel).await;
        }
    }

    async fn subscribe(&self) -> Result<Subscription, LookError> {
        let channel = broker::channel(self.connection).await?;
        within_limit(channel.basic_qos(HELD_BY_ONE, BasicQosOptions::default())).await?;
        let options = BasicConsumeOptions::default();
        let queue = self.queue.as_str().into();
        let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default());
        let consumer = within_limit(consumer).await?;
        Ok(Subscription {
            channel,
            consumer,
            held: 0,
        })
    }
}

async fn put_back(channel: &Channel) {
    // If the connection is gone, the broker puts everything back by itself.
    let _ = within_limit(channel.close(200, "seen".into())).await;
}

async fn within_limit<T>(step: impl Future<Output = lapin::Result<T>>) -> Result<T, LookError> {
    match timeout(STEP_LIMIT, step).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(LookError::TimedOut),
    }
}

fn is_not_found(error: &lapin::Error) -> bool {
    const NOT_FOUND: u16 = 404;
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(e) if e.get_id() == NOT_FOUND)
}

/// A message that was seen.
pub struct Seen {
    properties: BasicProperties,
    payload: Bytes,
}

impl Seen {
    /// Whose message it is, where that can be read.
    #[must_use]
    pub fn id(&self) -> Option<EventId> {
        EventId::parse(self.properties.message_id().as_ref()?.as_str()).ok()
    }

    /// How often it was handed out before.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        match message::header(&self.properties, "x-delivery-count") {
            Some(AMQPValue::LongLongInt(count)) => u64::try_from(*count).unwrap_or_default(),
            _ => 0,
        }
    }

    /// Reads it as a message of `wahook.dead`.
    #[must_use]
    pub fn letter(self) -> DeadLetter {
        DeadLetter::read(&self.properties, self.payload)
    }

    /// Reads it as a message of `wahook.results`.
    pub fn result(self) -> Result<AttemptResult, Poison> {
        result_message::decode(&self.properties, self.payload)
    }
}
