//! Dead letters at the broker, taken one by one.

use lapin::{Channel, Connection, options::BasicGetOptions};

use super::{
    acks::DirectLease,
    connection,
    deadline::{TimedOut, with_deadline},
    delivered::Delivered,
    error::{BrokerError, ConnectError, is_not_found},
    uri::BrokerUri,
};
use crate::topology::{DEAD_QUEUE, Topology};

/// Connection for reading dead letters.
pub(crate) struct RemoteDeadLetters {
    connection: Box<Connection>,
    channel: Channel,
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
    Lost(#[from] BrokerError),
    /// The broker did not answer.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

impl From<lapin::Error> for DeadLettersError {
    fn from(error: lapin::Error) -> Self {
        Self::Lost(error.into())
    }
}

impl RemoteDeadLetters {
    /// Connects once, declares nothing, and counts the dead letters.
    pub(crate) async fn open(uri: &BrokerUri, name: &str) -> Result<(Self, u32), DeadLettersError> {
        let connection = connection::connect(uri, name, &Topology::default()).await?;
        let connection = Box::new(connection);
        let channel = connection::channel(&connection).await?;
        let declared = connection::declare_passive(&channel, DEAD_QUEUE);
        let queue = match with_deadline(declared).await? {
            Err(error) if is_not_found(&error) => return Err(DeadLettersError::NoQueue),
            declared => declared?,
        };
        let opened = Self {
            connection,
            channel,
        };
        Ok((opened, queue.message_count()))
    }

    /// Takes the next dead letter; `None` if the queue is empty.
    pub(crate) async fn next(&self) -> Result<Option<Delivered<DirectLease>>, DeadLettersError> {
        let options = BasicGetOptions { no_ack: false };
        let get = self.channel.basic_get(DEAD_QUEUE.into(), options);
        let got = with_deadline(get).await??;
        Ok(got.map(|got| Delivered::new(got.delivery, |acker| DirectLease::new(acker, None))))
    }

    /// Closes the connection; the broker requeues what was not settled.
    pub(crate) async fn close(&self) {
        connection::close(&self.connection).await;
    }
}
