//! Connection for consuming.

use lapin::{Channel, Connection, options::BasicGetOptions};
use std::sync::Arc;
use tokio::{sync::watch, time::timeout};

use super::{
    acks::{Closing, DirectLease, Kept, WRITE_LIMIT},
    connection,
    deadline::with_deadline,
    delivered::Delivered,
    error::ConnectError,
    lane::RemoteLane,
    subscription::{RemoteSubscription, Role},
    uri::BrokerUri,
};
use crate::{depth::Depth, topology::Topology};

/// Connection for consuming.
pub(crate) struct RemoteConnection {
    connection: Box<Connection>,
    server: String,
    /// True once the connection is closing; the ack writers watch it.
    closing: watch::Sender<bool>,
}

impl RemoteConnection {
    /// Connects once, with a deadline for each step, and declares `topology`.
    pub(crate) async fn connect(
        uri: &BrokerUri,
        name: &str,
        topology: &Topology,
    ) -> Result<Self, ConnectError> {
        let connected = connection::connect(uri, name, topology).await?;
        Ok(Self {
            connection: Box::new(connected.connection),
            server: connected.server,
            closing: watch::Sender::new(false),
        })
    }

    /// Returns host and address of the server, for the log.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Subscribes to a queue, with at most `prefetch` unacked messages.
    pub(crate) async fn subscribe(
        &self,
        queue: &str,
        prefetch: u16,
    ) -> Result<RemoteSubscription, ConnectError> {
        let channel = Arc::new(connection::channel(&self.connection).await?);
        let closing = Closing::of_connection(self.closing.subscribe());
        RemoteSubscription::begin(channel, queue, prefetch, Role::Shared, closing).await
    }

    pub(crate) async fn subscribe_lane(&self, queue: &str) -> Result<RemoteLane, ConnectError> {
        let closing = Closing::of_connection(self.closing.subscribe());
        RemoteLane::begin(&self.connection, queue, closing).await
    }

    /// Declares a changed topology and removes its obsolete bindings.
    pub(crate) async fn declare(&self, topology: &Topology) -> Result<(), ConnectError> {
        connection::declare(&self.connection, topology).await
    }

    /// Returns true if all queues of a topology exist.
    pub(crate) async fn has_queues(&self, topology: &Topology) -> Result<bool, ConnectError> {
        let queues = topology.queues.iter().map(|queue| queue.name.as_str());
        connection::has_queues(&self.connection, &queues.collect::<Vec<_>>()).await
    }

    /// Takes one message without a subscription; `None` if the queue is empty.
    pub(crate) async fn take_one(
        &self,
        queue: &str,
    ) -> Result<Option<Delivered<DirectLease>>, ConnectError> {
        let channel = Arc::new(connection::channel(&self.connection).await?);
        let get = channel.basic_get(queue.into(), BasicGetOptions::default());
        let got = connection::queue_step(queue, &channel, get).await?;
        Ok(got.map(|got| {
            let kept = Kept::Channel { _open: channel };
            Delivered::new(got.delivery, |acker| DirectLease::new(acker, kept))
        }))
    }

    /// Returns the depths of queues, in their order.
    pub(crate) async fn depths(&self, queues: &[String]) -> Result<Vec<Depth>, ConnectError> {
        let channel = connection::channel(&self.connection).await?;
        let mut depths = Vec::with_capacity(queues.len());
        for queue in queues {
            let declare = connection::declare_passive(&channel, queue);
            let queue = connection::queue_step(queue, &channel, declare).await?;
            depths.push(Depth {
                messages: queue.message_count(),
                consumers: queue.consumer_count(),
            });
        }
        // Fails if the connection is lost, which its next user notices.
        let _ = with_deadline(channel.close(200, "seen".into())).await;
        Ok(depths)
    }

    /// Opens a channel for reading a queue's number of consumers.
    pub(crate) async fn observe(&self, queue: &str) -> Result<RemoteObserver, ConnectError> {
        Ok(RemoteObserver {
            channel: connection::channel(&self.connection).await?,
            queue: queue.to_owned(),
        })
    }

    /// Writes pending acks, unless the connection is lost, then closes it; the broker
    /// redelivers unacked messages.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        tokio::select! {
            written = timeout(WRITE_LIMIT, self.closing.closed()) => if written.is_err() {
                tracing::warn!("acks not written within {WRITE_LIMIT:?}, closing the connection");
            },
            // No ack can reach the broker, and lapin may never answer one.
            () = connection::until_lost(&self.connection) => {}
        }
        connection::close(&self.connection).await;
    }
}

/// Reads the number of consumers of one queue.
pub(crate) struct RemoteObserver {
    channel: Channel,
    queue: String,
}

impl RemoteObserver {
    /// Returns the number of consumers that are subscribed now.
    pub(crate) async fn consumers(&self) -> Result<u32, ConnectError> {
        let declare = connection::declare_passive(&self.channel, &self.queue);
        let queue = connection::queue_step(&self.queue, &self.channel, declare).await?;
        Ok(queue.consumer_count())
    }
}
