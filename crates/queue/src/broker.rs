//! Connections to the broker, with a deadline for each step.

use backoff::ExponentialBackoff;
use lapin::{
    Channel, Connection, ConnectionProperties, options::QueueDeclareOptions, types::FieldTable,
    uri::AMQPUri,
};
use std::{fmt, str::FromStr, time::Duration};
use tokio::time::timeout;

use crate::{local::SharedQueue, topology::Topology, wire};

/// Time limit for connecting, opening a channel and declaring together. lapin's
/// own `connection_timeout` does not cover a frozen broker.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Time limit for closing a connection; the broker cleans up by itself in any
/// case.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// Seconds between heartbeats if the URI sets none: a frozen broker is noticed
/// after two of them.
const HEARTBEAT_SECONDS: u16 = 5;
/// Longest frame, in bytes, if the URI sets none. lapin keeps 64 times as much
/// for each connection: 8 MiB with the 128 KiB that RabbitMQ would agree to.
pub(crate) const MAX_FRAME: u32 = 16 << 10;

/// Queue backend.
#[derive(Clone)]
pub enum Broker {
    /// RabbitMQ server.
    RabbitMq(BrokerUri),
    /// Store within this process.
    Local(SharedQueue),
}

impl From<BrokerUri> for Broker {
    fn from(uri: BrokerUri) -> Self {
        Self::RabbitMq(uri)
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RabbitMq(uri) => uri.fmt(f),
            Self::Local(_) => f.write_str("the embedded store"),
        }
    }
}

/// Address of the broker, valid by construction. `Display` hides the password.
#[derive(Clone)]
pub struct BrokerUri(AMQPUri);

/// Error for an invalid broker address.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidBrokerUri(String);

impl BrokerUri {
    /// Valid example, for error messages.
    pub const EXAMPLE: &str = "amqp://guest:guest@127.0.0.1:5672/%2f";
}

impl FromStr for BrokerUri {
    type Err = InvalidBrokerUri;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut uri = AMQPUri::from_str(text).map_err(InvalidBrokerUri)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        uri.query.frame_max.get_or_insert(MAX_FRAME);
        Ok(Self(uri))
    }
}

impl fmt::Display for BrokerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = &self.0.authority;
        write!(
            f,
            "{}://{}@{}:{}/{}",
            self.0.scheme,
            authority.userinfo.username,
            authority.host,
            authority.port,
            self.0.vhost
        )
    }
}

impl fmt::Debug for BrokerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUri({self})")
    }
}

/// Reasons for which no usable connection was established.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The broker did not answer in time.
    #[error("no answer from the broker within {} s", CONNECT_LIMIT.as_secs())]
    TimedOut,
    /// The connection works, but the queue does not answer.
    #[error(
        "the broker did not answer for queue {queue} within {limit} s: the queue may have no leader, \
         because the broker was killed within seconds of the queue's declaration; \
         restart the broker",
        limit = CONNECT_LIMIT.as_secs()
    )]
    NoSubscription {
        /// Name of the queue.
        queue: String,
    },
    /// A queue or exchange exists with other arguments.
    #[error(
        "{0}: a queue or exchange of this name was declared with other arguments; \
         once it is empty, delete it and it is declared again"
    )]
    OtherTopology(lapin::Error),
    /// Other error of lapin.
    #[error("{0}")]
    Broker(#[from] lapin::Error),
}

/// Returns the delays between connection attempts: 0.2 s growing to 5 s,
/// without an end.
#[must_use]
pub fn reconnect_backoff() -> ExponentialBackoff {
    ExponentialBackoff {
        current_interval: Duration::from_millis(200),
        initial_interval: Duration::from_millis(200),
        multiplier: 2.0,
        randomization_factor: 0.2,
        max_interval: Duration::from_secs(5),
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
}

/// Connects and declares the topology on a separate channel.
pub(crate) async fn connect(
    uri: &BrokerUri,
    name: &str,
    topology: &Topology,
) -> Result<Connection, ConnectError> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let steps = async {
        let connection = wire::connect(uri.0.clone(), properties).await?;
        declare_on(&connection, topology).await?;
        Ok(connection)
    };
    timeout(CONNECT_LIMIT, steps)
        .await
        .map_err(|_| ConnectError::TimedOut)?
}

/// Declares a topology on a separate channel.
pub(crate) async fn declare(
    connection: &Connection,
    topology: &Topology,
) -> Result<(), ConnectError> {
    timeout(CONNECT_LIMIT, declare_on(connection, topology))
        .await
        .map_err(|_| ConnectError::TimedOut)?
}

async fn declare_on(connection: &Connection, topology: &Topology) -> Result<(), ConnectError> {
    let channel = connection.create_channel().await?;
    topology.declare(&channel).await.map_err(explain)?;
    channel.close(200, "declared".into()).await?;
    Ok(())
}

/// Closes the connection. lapin panics if a connection outlives its runtime, so
/// every connection is closed before the program ends.
pub(crate) async fn close(connection: &Connection) {
    if let Ok(Err(error)) = timeout(CLOSE_LIMIT, connection.close(200, "bye".into())).await {
        tracing::debug!(%error, "the broker connection was already closed");
    }
}

/// Opens a channel, with the deadline of a connect.
pub(crate) async fn channel(connection: &Connection) -> Result<Channel, ConnectError> {
    within_limit(connection.create_channel()).await
}

/// Runs a setup step with a deadline: lapin may never answer a request that is
/// sent while the connection breaks.
pub(crate) async fn within_limit<T>(
    step: impl Future<Output = lapin::Result<T>>,
) -> Result<T, ConnectError> {
    let done = timeout(CONNECT_LIMIT, step).await;
    Ok(done.map_err(|_| ConnectError::TimedOut)??)
}

/// Reads a queue's numbers of messages and consumers.
pub(crate) async fn declare_passive(channel: &Channel, queue: &str) -> lapin::Result<lapin::Queue> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await
}

fn explain(error: lapin::Error) -> ConnectError {
    const PRECONDITION_FAILED: u16 = 406;
    match error.kind() {
        lapin::ErrorKind::ProtocolError(e) if e.get_id() == PRECONDITION_FAILED => {
            ConnectError::OtherTopology(error)
        }
        _ => ConnectError::Broker(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let uri: BrokerUri = "amqp://guest:hunter2@broker:5673/%2f".parse().unwrap();
        assert_eq!(uri.to_string(), "amqp://guest@broker:5673//");
        assert!(!format!("{uri:?}").contains("hunter2"));
    }

    #[test]
    fn heartbeats_and_short_frames_are_requested_unless_the_address_sets_others() {
        let uri: BrokerUri = "amqp://broker".parse().unwrap();
        assert_eq!(uri.0.query.heartbeat, Some(HEARTBEAT_SECONDS));
        assert_eq!(uri.0.query.frame_max, Some(MAX_FRAME));
        let text = "amqp://broker/%2f?heartbeat=30&frame_max=8192";
        let uri: BrokerUri = text.parse().unwrap();
        assert_eq!(uri.0.query.heartbeat, Some(30));
        assert_eq!(uri.0.query.frame_max, Some(8192));
    }

    #[test]
    fn an_invalid_broker_address_is_refused() {
        for text in ["http://broker", "broker:5672", ""] {
            assert!(text.parse::<BrokerUri>().is_err(), "{text}");
        }
    }
}
