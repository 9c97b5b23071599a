//! Dead letters: read one by one, and each settled at most once.
//!
//! A dead letter that was taken is hidden from others until it is settled or
//! the connection closes; then the broker requeues what was not settled. So
//! reading changes nothing, and an interrupted program loses nothing.

use bytes::Bytes;
use lapin::{BasicProperties, Channel, Connection, options::BasicGetOptions, types::AMQPValue};
use std::{future::Future, time::Duration};
use tokio::time::timeout;
use wahook_domain::{EndpointName, QueuedEvent, UnixMillis};

use crate::{
    broker::{self, Broker, ConnectError},
    consumer_connection::{ConsumerConnection, Receipt},
    message::{self, Poison},
    topology::{self, DEAD_QUEUE, Topology},
};

/// Header in which the broker records its own moves of a message, the latest
/// first.
pub(crate) const DEATHS: &str = "x-death";
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
                    let dead_letter = DeadLetter::read(&delivery.properties, delivery.data.into());
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

/// Message that was given up: an exhausted delivery, or an undecodable message.
/// Its id and name are unchecked, because it may be anything.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    pub id: Option<String>,
    /// Name of the event.
    pub event: Option<String>,
    pub endpoint: Option<EndpointName>,
    /// Reason for which it was given up, for operators.
    pub reason: String,
    pub died_at: Option<UnixMillis>,
    /// True if the broker moved the message by itself, because it was
    /// undecodable or delivered too often. The log has no record of that.
    pub moved_by_broker: bool,
    /// Decoded event.
    pub content: Result<QueuedEvent, Poison>,
    pub payload: Bytes,
}

impl DeadLetter {
    pub(crate) fn read(properties: &BasicProperties, payload: Bytes) -> Self {
        let content = message::decode(properties, payload.clone());
        let death = Death::read(properties);
        let endpoint = message::header_text(properties, message::ENDPOINT)
            .and_then(|name| EndpointName::parse(&name).ok())
            .or_else(|| topology::endpoint_of(death.as_ref()?.queue.as_deref()?));
        let reason = match (&content, message::header_text(properties, message::REASON)) {
            (Err(poison), _) => format!("undecodable: {poison}"),
            (Ok(_), Some(reason)) => reason,
            (Ok(_), None) => death.as_ref().map(Death::describe).unwrap_or_default(),
        };
        let died_at = message::number(properties, message::DEAD)
            .ok()
            .map(UnixMillis::new)
            .or_else(|| death.as_ref()?.at);
        let text = |value: &Option<lapin::types::ShortString>| {
            value.as_ref().map(|text| text.as_str().to_owned())
        };
        Self {
            id: text(properties.message_id()),
            event: text(properties.kind()),
            endpoint,
            reason,
            died_at,
            // Only a consumer writes this header.
            moved_by_broker: message::header(properties, message::DEAD).is_none(),
            content,
            payload,
        }
    }
}

/// The broker's record of a message that it moved by itself (see [`DEATHS`]).
struct Death {
    queue: Option<String>,
    reason: String,
    at: Option<UnixMillis>,
}

impl Death {
    fn read(properties: &BasicProperties) -> Option<Self> {
        let deaths = match message::header(properties, DEATHS)? {
            AMQPValue::FieldArray(deaths) => deaths.as_slice(),
            _ => return None,
        };
        let AMQPValue::FieldTable(latest) = deaths.first()? else {
            return None;
        };
        let text = |name: &str| match latest.inner().get(name)? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            _ => None,
        };
        let at = match latest.inner().get("time") {
            Some(AMQPValue::Timestamp(seconds)) => i64::try_from(*seconds).ok(),
            _ => None,
        };
        Some(Self {
            queue: text("queue"),
            reason: text("reason").unwrap_or_default(),
            at: at.map(|seconds| UnixMillis::new(seconds.saturating_mul(1_000))),
        })
    }

    fn describe(&self) -> String {
        match self.reason.as_str() {
            "delivery_limit" => "delivered too often without an ack: \
                                 it may crash its consumers"
                .to_owned(),
            other => format!("moved by the broker: {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::types::FieldTable;

    fn dead(entry: &[(&'static str, AMQPValue)]) -> BasicProperties {
        let mut death = FieldTable::default();
        for (name, value) in entry {
            death.insert((*name).into(), value.clone());
        }
        let mut headers = FieldTable::default();
        let deaths = vec![AMQPValue::FieldTable(death)];
        headers.insert("x-death".into(), AMQPValue::FieldArray(deaths.into()));
        BasicProperties::default().with_headers(headers)
    }

    #[test]
    fn a_moved_message_has_its_queue_time_and_reason() {
        let properties = dead(&[
            ("queue", AMQPValue::LongString("wahook.deliver.crm".into())),
            ("reason", AMQPValue::LongString("delivery_limit".into())),
            ("time", AMQPValue::Timestamp(1_727_784_000)),
        ]);
        let death = Death::read(&properties).unwrap();
        assert_eq!(death.queue.as_deref(), Some("wahook.deliver.crm"));
        assert_eq!(death.at, Some(UnixMillis::new(1_727_784_000_000)));
        assert!(death.describe().contains("too often"));
    }

    #[test]
    fn a_missing_or_empty_record_is_accepted() {
        assert!(Death::read(&BasicProperties::default()).is_none());
        let death = Death::read(&dead(&[])).unwrap();
        assert_eq!((death.queue, death.at), (None, None));
    }
}
