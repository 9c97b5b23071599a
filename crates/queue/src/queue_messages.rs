//! Messages of one queue: taken one by one, and each settled at most once.
//!
//! A message that was taken is hidden from others until it is settled or the
//! connection closes; then the broker requeues what was not settled. So
//! reading changes nothing, and an interrupted program loses nothing.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    broker::Broker,
    lane_subscription::LaneSubscription,
    local::{self, SharedQueue},
    rabbitmq::{QueueMessagesError, RemoteMessages},
    received::Received,
    topology::is_lane,
};

/// Time without messages after which a lane is assumed to have an owner.
const IDLE_LIMIT: Duration = Duration::from_secs(2);

/// Messages that were in a queue at the time of opening.
pub struct QueueMessages {
    backend: Backend,
    left: u32,
}

enum Backend {
    RabbitMq(RemoteMessages),
    /// Lane at RabbitMQ.
    Lane(RemoteMessages, LaneSubscription),
    Local(SharedQueue, String),
}

impl QueueMessages {
    /// Connects once.
    pub async fn open(
        broker: &Broker,
        name: &str,
        queue: &str,
    ) -> Result<Self, QueueMessagesError> {
        let (backend, left) = match broker {
            Broker::RabbitMq(uri) => {
                let (remote, left) = RemoteMessages::open(uri, name, queue).await?;
                if is_lane(queue) {
                    let lane = LaneSubscription::remote(remote.subscribe_lane().await?);
                    (Backend::Lane(remote, lane), left)
                } else {
                    (Backend::RabbitMq(remote), left)
                }
            }
            Broker::Local(local) => {
                let left = local::depth(local, queue).await;
                local::check(local).await?;
                (Backend::Local(Arc::clone(local), queue.to_owned()), left)
            }
        };
        Ok(Self { backend, left })
    }

    /// Returns the number of messages still to be read. Later ones are not
    /// included, so that reading ends.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Takes the next message. They have no order, except in a lane, of which at most
    /// [`LANE_PREFETCH`](crate::LANE_PREFETCH) are unsettled.
    pub async fn next(&mut self) -> Result<Option<Received>, QueueMessagesError> {
        if self.left == 0 {
            return Ok(None);
        }
        let got = match &mut self.backend {
            Backend::RabbitMq(remote) => remote.next().await?.map(Received::from),
            // Without a message, a consumer owns the lane.
            Backend::Lane(_, lane) => timeout(IDLE_LIMIT, lane.next()).await.ok().transpose()?,
            Backend::Local(local, queue) => {
                let taken = local::take(local, queue).await;
                if taken.is_none() {
                    local::check(local).await?;
                }
                taken.map(Received::from)
            }
        };
        // The queue is empty early if another client has settled or taken some.
        self.left = if got.is_some() { self.left - 1 } else { 0 };
        Ok(got)
    }

    /// Returns true if no other process holds the lock of this name, and takes it until
    /// these messages are closed. A local queue is used by one process only.
    pub(crate) async fn lock(&self, name: &str) -> Result<bool, QueueMessagesError> {
        match &self.backend {
            Backend::RabbitMq(remote) | Backend::Lane(remote, _) => Ok(remote.lock(name).await?),
            Backend::Local(..) => Ok(true),
        }
    }

    /// Waits until the broker has processed the acks. RabbitMQ drops those that a channel has not passed
    /// to its queue when it is closed.
    ///
    /// # Errors
    /// If the broker is lost, or an ack could not be written to the data file.
    pub async fn flush(&self) -> Result<(), QueueMessagesError> {
        match &self.backend {
            Backend::RabbitMq(remote) => remote.flush().await,
            // The acks of a lane are written as few, when it is closed.
            Backend::Lane(..) => Ok(()),
            Backend::Local(local, _) => local::check(local).await,
        }
    }

    /// Closes the connection; the broker requeues what was not settled.
    pub async fn close(self) {
        match self.backend {
            Backend::RabbitMq(remote) => remote.close().await,
            Backend::Lane(remote, lane) => {
                lane.close().await;
                remote.close().await;
            }
            Backend::Local(..) => {}
        }
    }
}
