//! Running subscription to one lane of an ordered endpoint.

use crate::{
    local_subscription::LocalLane,
    rabbitmq::{RemoteLane, SubscriptionEnded},
    received::Received,
};

/// Running subscription to a lane. Only one subscription of a lane at a time receives
/// messages, and no notice says which one: the first message does.
///
/// A message that is dropped unsettled stays unsettled. Once the subscription ends,
/// by [`Self::close`] or by a drop, all unsettled messages return to their places,
/// and the next subscription receives them first, in their order.
pub struct LaneSubscription(Backend);

enum Backend {
    RabbitMq(Box<RemoteLane>),
    Local(LocalLane),
}

impl LaneSubscription {
    pub(crate) fn remote(remote: RemoteLane) -> Self {
        Self(Backend::RabbitMq(Box::new(remote)))
    }

    pub(crate) fn local(local: LocalLane) -> Self {
        Self(Backend::Local(local))
    }

    /// Waits for the next message. Dropping the future loses none. After an error the
    /// lane is given up: another subscription may have its messages.
    pub async fn next(&mut self) -> Result<Received, SubscriptionEnded> {
        match &mut self.0 {
            Backend::RabbitMq(remote) => remote.next().await.map(Received::from),
            Backend::Local(local) => {
                let next = local.next().await.map(Received::from);
                next.ok_or(SubscriptionEnded::Cancelled)
            }
        }
    }

    /// Writes pending acks, then gives the lane up. Later settlements of its messages
    /// fail.
    pub async fn close(self) {
        match self.0 {
            Backend::RabbitMq(remote) => remote.close().await,
            // The store executes all acks before the end of the subscription.
            Backend::Local(local) => drop(local),
        }
    }
}
