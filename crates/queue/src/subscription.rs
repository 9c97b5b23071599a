//! Running subscription to one queue.

use crate::{
    local_subscription::LocalSubscription,
    rabbitmq::{RemoteSubscription, SubscriptionEnded},
    received::Received,
};

/// Running subscription to one queue. Dropping it ends it; messages that it
/// delivered can still be settled.
pub struct Subscription(Backend);

enum Backend {
    RabbitMq(Box<RemoteSubscription>),
    Local(LocalSubscription),
}

impl Subscription {
    pub(crate) fn remote(remote: RemoteSubscription) -> Self {
        Self(Backend::RabbitMq(Box::new(remote)))
    }

    pub(crate) fn local(local: LocalSubscription) -> Self {
        Self(Backend::Local(local))
    }

    /// Waits for the next message. Dropping the future loses none.
    pub async fn next(&mut self) -> Result<Received, SubscriptionEnded> {
        match &mut self.0 {
            Backend::RabbitMq(remote) => remote.next().await.map(Received::from),
            Backend::Local(local) => {
                let next = local.next().await.map(Received::from);
                next.ok_or(SubscriptionEnded::Cancelled)
            }
        }
    }

    /// Stops the broker from sending more. Messages already sent are still
    /// delivered and can be settled. The future does not borrow the subscription.
    pub fn cancel(&self) -> impl Future<Output = ()> + Send + use<> {
        let remote = match &self.0 {
            Backend::RabbitMq(remote) => Some(remote.cancel()),
            Backend::Local(local) => {
                local.cancel();
                None
            }
        };
        async move {
            if let Some(cancelled) = remote {
                cancelled.await;
            }
        }
    }
}
