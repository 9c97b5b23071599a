//! Running subscription to one queue.

use futures_util::FutureExt;

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

    /// Waits for the next message and adds those already received, at most
    /// `max` together. Dropping the future loses none.
    pub async fn next_batch(&mut self, max: usize) -> Result<Vec<Received>, SubscriptionEnded> {
        let mut batch = vec![self.next().await?];
        while batch.len() < max {
            let Some(received) = self.next().now_or_never() else {
                break;
            };
            match received {
                Ok(received) => batch.push(received),
                // The messages received so far are returned; the next call
                // fails.
                Err(_) => break,
            }
        }
        Ok(batch)
    }

    /// Stops the broker from sending more. Messages already sent are still
    /// delivered and can be settled.
    pub async fn cancel(&self) {
        match &self.0 {
            Backend::RabbitMq(remote) => remote.cancel().await,
            Backend::Local(local) => local.cancel(),
        }
    }
}
