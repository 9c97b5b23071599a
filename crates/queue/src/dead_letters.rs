//! The dead letters: looked through one by one, and each ended at most once.
//!
//! A letter that was taken is hidden from others until it is ended or the
//! connection closes; then the broker puts back what was not ended. So looking
//! changes nothing, and whoever is cut off loses nothing.

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

/// Where the broker notes what it moved by itself, the latest first.
pub(crate) const DEATHS: &str = "x-death";
/// A step that takes longer belongs to a dead connection.
const STEP_LIMIT: Duration = Duration::from_secs(10);

/// The dead letters that were there when they were opened.
pub struct DeadLetters {
    source: Source,
    left: u32,
}

enum Source {
    RabbitMq {
        connection: Box<Connection>,
        channel: Channel,
    },
    Local(ConsumerConnection),
}

/// Why the dead letters can't be looked through.
#[derive(Debug, thiserror::Error)]
pub enum DeadLettersError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The queue was never declared.
    #[error(
        "there is no queue {DEAD_QUEUE} at this broker: a consumer declares it at its first start"
    )]
    NoQueue,
    /// The connection is gone.
    #[error("the broker was lost: {0}")]
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
                let intake =
                    ConsumerConnection::connect(broker, name, &Topology::default()).await?;
                let left = intake.depth(DEAD_QUEUE).await;
                let source = Source::Local(intake);
                return Ok(Self { source, left });
            }
        };
        // Whoever only looks declares nothing.
        let connection = broker::connect(uri, name, &Topology::default()).await?;
        let connection = Box::new(connection);
        let channel = broker::channel(&connection).await?;
        let queue = within_limit(broker::look_at(&channel, DEAD_QUEUE))
            .await
            .map_err(|error| match error {
                DeadLettersError::Lost(error) if is_not_found(&error) => DeadLettersError::NoQueue,
                other => other,
            })?;
        Ok(Self {
            source: Source::RabbitMq {
                connection,
                channel,
            },
            left: queue.message_count(),
        })
    }

    /// How many are still to be looked at. Letters that arrive later are not:
    /// a look has an end.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Takes the next letter, and what to end it with. They come in no order.
    pub async fn next(&mut self) -> Result<Option<(DeadLetter, Receipt)>, DeadLettersError> {
        if self.left == 0 {
            return Ok(None);
        }
        let got = match &self.source {
            Source::RabbitMq { channel, .. } => {
                let options = BasicGetOptions { no_ack: false };
                let got = within_limit(channel.basic_get(DEAD_QUEUE.into(), options)).await?;
                got.map(|message| {
                    let delivery = message.delivery;
                    let letter = DeadLetter::read(&delivery.properties, delivery.data.into());
                    (letter, Receipt::alone(delivery.acker, None))
                })
            }
            Source::Local(intake) => {
                let got = intake.take_one(DEAD_QUEUE).await?;
                got.map(|received| (received.letter(), received.receipt))
            }
        };
        // None is left when somebody else has ended or taken some.
        self.left = if got.is_some() { self.left - 1 } else { 0 };
        Ok(got)
    }

    /// Closes the connection; the broker puts back what was not ended.
    pub async fn close(self) {
        if let Source::RabbitMq { connection, .. } = &self.source {
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

/// A message that was given up: an exhausted delivery, or one that could not be
/// read. What it says of itself is kept as it is, since it may be anything.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// The event's id.
    pub id: Option<String>,
    /// The event's name.
    pub event: Option<String>,
    /// Which endpoint's it was.
    pub endpoint: Option<EndpointName>,
    /// Why it was given up, in words.
    pub reason: String,
    /// When.
    pub died_at: Option<UnixMillis>,
    /// Whether the broker moved it by itself: it could not be read, or was
    /// handed out too often. Of such a letter the log knows nothing.
    pub moved_by_broker: bool,
    /// The event itself, where it can be read.
    pub content: Result<QueuedEvent, Poison>,
    /// Its bytes.
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
            (Ok(_), None) => death.as_ref().map(Death::in_words).unwrap_or_default(),
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
            // Only a consumer notes when it gave a letter up.
            moved_by_broker: message::header(properties, message::DEAD).is_none(),
            content,
            payload,
        }
    }
}

/// What the broker notes of a message that it moved by itself (see [`DEATHS`]).
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

    fn in_words(&self) -> String {
        match self.reason.as_str() {
            "delivery_limit" => "handed out too often without an end: \
                                 did it end its consumers?"
                .to_owned(),
            other => format!("the broker moved it: {other}"),
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
    fn what_the_broker_moved_tells_from_where_when_and_why() {
        let properties = dead(&[
            ("queue", AMQPValue::LongString("wahook.deliver.crm".into())),
            ("reason", AMQPValue::LongString("delivery_limit".into())),
            ("time", AMQPValue::Timestamp(1_727_784_000)),
        ]);
        let death = Death::read(&properties).unwrap();
        assert_eq!(death.queue.as_deref(), Some("wahook.deliver.crm"));
        assert_eq!(death.at, Some(UnixMillis::new(1_727_784_000_000)));
        assert!(death.in_words().contains("too often"));
    }

    #[test]
    fn a_death_that_says_nothing_is_no_trouble() {
        assert!(Death::read(&BasicProperties::default()).is_none());
        let death = Death::read(&dead(&[])).unwrap();
        assert_eq!((death.queue, death.at), (None, None));
    }
}
