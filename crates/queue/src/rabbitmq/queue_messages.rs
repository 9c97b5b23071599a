//! Messages of one queue at the broker, taken one by one.

use std::time::Duration;

use lapin::{
    Channel, Connection,
    options::{BasicGetOptions, BasicNackOptions},
};
use tokio::{sync::watch, time::timeout};

use super::{
    acks::{Closing, DirectLease, Held, Kept},
    connection,
    deadline::{TimedOut, with_deadline},
    delivered::Delivered,
    error::{BrokerError, ConnectError, is_not_found},
    lane::RemoteLane,
    subscription::SubscriptionEnded,
    uri::BrokerUri,
};
use crate::topology::{Topology, is_lane};

/// Time limit for the broker to requeue what was taken and not removed.
const REQUEUE_LIMIT: Duration = Duration::from_secs(2);
/// Time limit for returning it, with a broker that does not answer.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

/// Connection for reading the messages of one queue.
pub(crate) struct RemoteMessages {
    connection: Box<Connection>,
    channel: Channel,
    queue: String,
    held: Held,
    /// True once the connection is closing.
    closing: watch::Sender<bool>,
}

/// Reasons for which the messages of a queue cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum QueueMessagesError {
    /// Connecting failed.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The queue was never declared.
    #[error("the broker has no queue {0}: a consumer declares it at its first start")]
    NoQueue(String),
    /// The connection is closed.
    #[error("the connection to the broker was lost: {0}")]
    Lost(#[from] BrokerError),
    /// The broker did not answer.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// The subscription to a lane has ended.
    #[error(transparent)]
    Ended(#[from] SubscriptionEnded),
    /// The data file could not be read or written.
    #[error("the data file: {0}")]
    Store(String),
}

impl From<lapin::Error> for QueueMessagesError {
    fn from(error: lapin::Error) -> Self {
        Self::Lost(error.into())
    }
}

impl RemoteMessages {
    /// Connects once, declares nothing, and counts the messages.
    pub(crate) async fn open(
        uri: &BrokerUri,
        name: &str,
        queue: &str,
    ) -> Result<(Self, u32), QueueMessagesError> {
        let connected = connection::connect(uri, name, &Topology::default()).await?;
        let connection = Box::new(connected.connection);
        let channel = connection::channel(&connection).await?;
        let declared = connection::declare_passive(&channel, queue);
        let declared = match with_deadline(declared).await? {
            Err(error) if is_not_found(&error) => {
                connection::close(&connection).await;
                return Err(QueueMessagesError::NoQueue(queue.to_owned()));
            }
            declared => declared?,
        };
        let opened = Self {
            connection,
            channel,
            queue: queue.to_owned(),
            held: Held::default(),
            closing: watch::Sender::new(false),
        };
        let messages = match declared.message_count() {
            0 if !is_lane(queue) => opened.confirmed_count().await?,
            messages => messages,
        };
        Ok((opened, messages))
    }

    /// Counts the messages of a queue that seems to be empty. RabbitMQ counts none if the leader of
    /// a queue does not answer within 250 ms; a get needs the leader.
    async fn confirmed_count(&self) -> Result<u32, QueueMessagesError> {
        let options = BasicGetOptions { no_ack: false };
        let get = self.channel.basic_get(self.queue.as_str().into(), options);
        let Some(got) = with_deadline(get).await?? else {
            return Ok(0);
        };
        let requeue = BasicNackOptions {
            multiple: false,
            requeue: true,
        };
        with_deadline(got.delivery.acker.nack(requeue)).await??;
        Ok(got.message_count.saturating_add(1))
    }

    /// Takes the next message; `None` if the queue is empty.
    pub(crate) async fn next(&self) -> Result<Option<Delivered<DirectLease>>, QueueMessagesError> {
        let options = BasicGetOptions { no_ack: false };
        let get = self.channel.basic_get(self.queue.as_str().into(), options);
        let got = with_deadline(get).await??;
        Ok(got.map(|got| {
            self.held.add_one();
            let kept = Kept::Count(self.held.clone());
            Delivered::new(got.delivery, |acker| DirectLease::new(acker, kept))
        }))
    }

    /// Waits until the queue has processed all acks.
    ///
    /// A channel passes 32 acks to a quorum queue, and the others together once the first ones are
    /// processed. The queue answers a get after all that it was passed before. So the first get follows
    /// the first acks, and the second one all others; one more, because the channel reads the results in
    /// between.
    pub(crate) async fn flush(&self) -> Result<(), QueueMessagesError> {
        for _ in 0..3 {
            // A message that it takes returns with the close.
            drop(self.next().await?);
        }
        Ok(())
    }

    /// Subscribes to the queue, which is a lane: the broker lets no message of a lane be
    /// taken without a subscription.
    pub(crate) async fn subscribe_lane(&self) -> Result<RemoteLane, ConnectError> {
        let closing = Closing::of_connection(self.closing.subscribe());
        RemoteLane::begin(&self.connection, &self.queue, closing).await
    }

    /// Takes an exclusive queue as a lock until the connection closes. Returns false if
    /// another connection has it.
    pub(crate) async fn lock(&self, queue: &str) -> Result<bool, ConnectError> {
        let locked = connection::lock(&self.connection, queue).await?;
        Ok(locked.is_some())
    }

    /// Closes the connection; the broker requeues what was not settled. Waits for that, so that the
    /// next reader finds it.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        let requeued = timeout(CLOSE_LIMIT, self.requeue()).await;
        if let Ok(Err(error)) = requeued {
            tracing::debug!(%error, "messages were returned with the connection");
        }
        connection::close(&self.connection).await;
    }

    async fn requeue(&self) -> Result<(), QueueMessagesError> {
        let held = self.held.count();
        if held == 0 {
            return Ok(());
        }
        let (watch, others) = connection::count_ready(&self.connection, &self.queue).await?;
        with_deadline(self.channel.close(200, "read".into())).await??;
        let all = others.saturating_add(held);
        connection::until_ready(&watch, &self.queue, all, REQUEUE_LIMIT).await?;
        Ok(())
    }
}
