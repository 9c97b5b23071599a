//! Dead letters: read one by one, and each settled at most once.
//!
//! A dead letter that was taken is hidden from others until it is settled or
//! the connection closes; then the broker requeues what was not settled. So
//! reading changes nothing, and an interrupted program loses nothing.

use lapin::{Channel, Connection, options::BasicGetOptions};
use std::{future::Future, time::Duration};
use tokio::time::timeout;

use crate::{
    broker::{self, Broker, ConnectError},
    consumer_connection::{ConsumerConnection, Receipt},
    message::DeadLetter,
    rabbitmq::properties,
    topology::{DEAD_QUEUE, Topology},
};

/// Time limit for a step; after it the connection is considered dead.
const STEP_LIMIT: Duration = Duration::from_secs(10);

/// Dead letters that existed at the time of opening.
pub struct DeadLetters {
    backend: Backend,
    left: u32,
}

enum Backend {
    RabbitMq {
        connection: Box<Connection>,
        channel: Channel,
    },
    Local(ConsumerConnection),
}

/// Reasons for which the dead letters cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DeadLettersError {
    /// Connecting failed.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The queue was never declared.
    #[error("the broker has no queue {DEAD_QUEUE}: a consumer declares it at its first start")]
    NoQueue,
    /// The connection is closed.
    #[error("the connection to the broker was lost: {0}")]
    Lost(#[from] lapin::Error),
    /// The broker did not answer.
    #[error("no answer from the broker within {} s", STEP_LIMIT.as_secs())]
    TimedOut,
}

impl DeadLetters {
    /// Connects once.
    pub async fn open(broker: &Broker, name: &str) -> Result<Self, DeadLettersError> {
        let uri = match broker {
            Broker::RabbitMq(uri) => uri,
            Broker::Local(_) => {
                let connection =
                    ConsumerConnection::connect(broker, name, &Topology::default()).await?;
                let left = connection.depth(DEAD_QUEUE).await;
                let backend = Backend::Local(connection);
                return Ok(Self { backend, left });
            }
        };
        // Reading declares nothing.
        let connection = broker::connect(uri, name, &Topology::default()).await?;
        let connection = Box::new(connection);
        let channel = broker::channel(&connection).await?;
        let queue = within_limit(broker::declare_passive(&channel, DEAD_QUEUE))
            .await
            .map_err(|error| match error {
                DeadLettersError::Lost(error) if is_not_found(&error) => DeadLettersError::NoQueue,
                other => other,
            })?;
        Ok(Self {
            backend: Backend::RabbitMq {
                connection,
                channel,
            },
            left: queue.message_count(),
        })
    }

    /// Returns the number of dead letters still to be read. Later ones are not
    /// included, so that reading ends.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Takes the next dead letter, with its receipt. They have no order.
    pub async fn next(&mut self) -> Result<Option<(DeadLetter, Receipt)>, DeadLettersError> {
        if self.left == 0 {
            return Ok(None);
        }
        let got = match &self.backend {
            Backend::RabbitMq { channel, .. } => {
                let options = BasicGetOptions { no_ack: false };
                let got = within_limit(channel.basic_get(DEAD_QUEUE.into(), options)).await?;
                got.map(|message| {
                    let delivery = message.delivery;
                    let dead_letter =
                        properties::decode_dead_letter(&delivery.properties, delivery.data.into());
                    (dead_letter, Receipt::direct(delivery.acker, None))
                })
            }
            Backend::Local(connection) => {
                let got = connection.take_one(DEAD_QUEUE).await?;
                got.map(|received| (received.dead_letter(), received.receipt))
            }
        };
        // The queue is empty early if another client has settled or taken some.
        self.left = if got.is_some() { self.left - 1 } else { 0 };
        Ok(got)
    }

    /// Closes the connection; the broker requeues what was not settled.
    pub async fn close(self) {
        if let Backend::RabbitMq { connection, .. } = &self.backend {
            broker::close(connection).await;
        }
    }
}

async fn within_limit<T>(
    step: impl Future<Output = lapin::Result<T>>,
) -> Result<T, DeadLettersError> {
    match timeout(STEP_LIMIT, step).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(DeadLettersError::TimedOut),
    }
}

fn is_not_found(error: &lapin::Error) -> bool {
    const NOT_FOUND: u16 = 404;
    matches!(error.kind(), lapin::ErrorKind::ProtocolError(e) if e.get_id() == NOT_FOUND)
}
