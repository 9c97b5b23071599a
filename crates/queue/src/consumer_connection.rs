//! Connection for consuming, to RabbitMQ or to a queue within this process.
//!
//! Publishing has another connection: an alarm blocks publishing connections,
//! and must never block an ack.

use std::sync::Arc;

use crate::{
    broker::Broker,
    depth::Depth,
    lane_subscription::LaneSubscription,
    local::{self, Command, SharedQueue},
    local_subscription::{LocalLane, LocalSubscription},
    rabbitmq::{ConnectError, RemoteConnection, RemoteObserver},
    received::Received,
    subscription::Subscription,
    topology::{LANE_PREFETCH, Topology},
};

/// Connection for consuming.
pub struct ConsumerConnection(Backend);

enum Backend {
    RabbitMq(RemoteConnection),
    Local(SharedQueue),
}

impl ConsumerConnection {
    /// Connects once, with a deadline for each step, and declares `topology`.
    pub async fn connect(
        broker: &Broker,
        name: &str,
        topology: &Topology,
    ) -> Result<Self, ConnectError> {
        let backend = match broker {
            Broker::RabbitMq(uri) => {
                Backend::RabbitMq(RemoteConnection::connect(uri, name, topology).await?)
            }
            Broker::Local(queue) => {
                queue.submit(Command::Declare(topology.clone()));
                Backend::Local(Arc::clone(queue))
            }
        };
        Ok(Self(backend))
    }

    /// Returns host and address of the server, for the log; `None` within this process.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        match &self.0 {
            Backend::RabbitMq(remote) => Some(remote.server()),
            Backend::Local(_) => None,
        }
    }

    /// Subscribes to a queue, with at most `prefetch` unacked messages.
    pub async fn subscribe(
        &self,
        queue: &str,
        prefetch: u16,
    ) -> Result<Subscription, ConnectError> {
        Ok(match &self.0 {
            Backend::RabbitMq(remote) => {
                Subscription::remote(remote.subscribe(queue, prefetch).await?)
            }
            Backend::Local(local) => {
                let local = Arc::clone(local);
                Subscription::local(LocalSubscription::begin(local, queue, prefetch))
            }
        })
    }

    /// Subscribes to a lane of an ordered endpoint, with at most [`LANE_PREFETCH`]
    /// unacked messages. It receives none while another subscription owns the lane.
    pub async fn subscribe_lane(&self, queue: &str) -> Result<LaneSubscription, ConnectError> {
        Ok(match &self.0 {
            Backend::RabbitMq(remote) => {
                LaneSubscription::remote(remote.subscribe_lane(queue).await?)
            }
            Backend::Local(local) => {
                let local = Arc::clone(local);
                LaneSubscription::local(LocalLane::begin(local, queue, LANE_PREFETCH))
            }
        })
    }

    /// Returns true if the queues are outside this process, so that this process can be cut
    /// off from them.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(self.0, Backend::RabbitMq(_))
    }

    /// Returns true if all queues of a topology exist at a broker outside this process.
    pub async fn has_queues(&self, topology: &Topology) -> Result<bool, ConnectError> {
        match &self.0 {
            Backend::RabbitMq(remote) => remote.has_queues(topology).await,
            Backend::Local(_) => Ok(false),
        }
    }

    /// Declares a changed topology and removes its obsolete bindings.
    pub async fn declare(&self, topology: &Topology) -> Result<(), ConnectError> {
        match &self.0 {
            Backend::RabbitMq(remote) => remote.declare(topology).await,
            Backend::Local(queue) => {
                queue.submit(Command::Declare(topology.clone()));
                Ok(())
            }
        }
    }

    /// Takes one message without a subscription; `None` if the queue is empty.
    pub async fn take_one(&self, queue: &str) -> Result<Option<Received>, ConnectError> {
        Ok(match &self.0 {
            Backend::RabbitMq(remote) => remote.take_one(queue).await?.map(Received::from),
            Backend::Local(local) => local::take(local, queue).await.map(Received::from),
        })
    }

    /// Returns the depths of queues, in their order. Messages of a data file that a consumer
    /// holds are not counted.
    pub async fn depths(&self, queues: &[String]) -> Result<Vec<Depth>, ConnectError> {
        match &self.0 {
            Backend::RabbitMq(remote) => remote.depths(queues).await,
            Backend::Local(local) => {
                let mut depths = Vec::with_capacity(queues.len());
                for queue in queues {
                    depths.push(Depth {
                        messages: local::depth(local, queue).await,
                        consumers: local::subscribers(local, queue).await,
                    });
                }
                Ok(depths)
            }
        }
    }

    /// Opens an observer of a queue's number of consumers.
    pub async fn observe(&self, queue: &str) -> Result<Observer, ConnectError> {
        Ok(Observer(match &self.0 {
            Backend::RabbitMq(remote) => ObserverBackend::RabbitMq(remote.observe(queue).await?),
            Backend::Local(local) => ObserverBackend::Local(Arc::clone(local), queue.to_owned()),
        }))
    }

    /// Writes pending acks, then closes the connection; the broker redelivers
    /// unacked messages.
    pub async fn close(&self) {
        match &self.0 {
            Backend::RabbitMq(remote) => remote.close().await,
            // An unsettled message is requeued when it is dropped.
            Backend::Local(_) => {}
        }
    }
}

/// Reads the number of consumers of one queue.
pub struct Observer(ObserverBackend);

enum ObserverBackend {
    RabbitMq(RemoteObserver),
    Local(SharedQueue, String),
}

impl Observer {
    /// Returns the number of consumers that are subscribed now.
    pub async fn consumers(&self) -> Result<u32, ConnectError> {
        match &self.0 {
            ObserverBackend::RabbitMq(remote) => remote.consumers().await,
            ObserverBackend::Local(local, queue) => Ok(local::subscribers(local, queue).await),
        }
    }
}
