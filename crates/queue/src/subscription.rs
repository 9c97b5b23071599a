//! Running subscription to one queue, with detection of a subscription that the
//! broker has forgotten.

use futures_util::{FutureExt, StreamExt};
use lapin::{Channel, Consumer, message::Delivery, options::BasicCancelOptions};
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    acks::{BatchedLease, SettledMessage},
    broker,
    consumer_connection::{Receipt, Received, STEP_LIMIT},
    local::LocalSubscription,
};

/// Time without messages after which the queue's depth is checked.
const SILENCE: Duration = Duration::from_secs(5);

/// Running subscription to one queue. Dropping it ends it; messages that it
/// delivered can still be settled.
pub struct Subscription(Backend);

enum Backend {
    RabbitMq(Box<Remote>),
    Local(LocalSubscription),
}

/// Subscription at RabbitMQ.
pub(crate) struct Remote {
    pub(crate) channel: Arc<Channel>,
    pub(crate) consumer: Consumer,
    /// Limit of messages that are delivered and unacked.
    pub(crate) prefetch: u16,
    /// Each unsettled message holds a clone.
    pub(crate) settlements: mpsc::UnboundedSender<SettledMessage>,
}

/// Reasons for which a subscription ends.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionEnded {
    /// The queue was deleted, or the subscription cancelled.
    #[error("the broker ended the subscription")]
    Cancelled,
    /// The broker has ready messages and delivers none; a new subscription may
    /// receive them.
    #[error("the broker delivers nothing from {queue} although {ready} messages are ready")]
    Forgotten {
        /// Name of the queue.
        queue: String,
        /// Messages in the queue that no consumer holds.
        ready: u32,
    },
    /// The connection or channel is closed.
    #[error("{0}")]
    Broken(#[from] lapin::Error),
}

impl Subscription {
    pub(crate) fn remote(remote: Remote) -> Self {
        Self(Backend::RabbitMq(Box::new(remote)))
    }

    pub(crate) fn local(local: LocalSubscription) -> Self {
        Self(Backend::Local(local))
    }

    /// Waits for the next message. Dropping the future loses none.
    pub async fn next(&mut self) -> Result<Received, SubscriptionEnded> {
        match &mut self.0 {
            Backend::RabbitMq(remote) => remote.next().await,
            Backend::Local(local) => local.next().await.ok_or(SubscriptionEnded::Cancelled),
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
            Backend::RabbitMq(remote) => {
                let options = BasicCancelOptions::default();
                let cancel = remote.channel.basic_cancel(remote.consumer.tag(), options);
                let _ = timeout(STEP_LIMIT, cancel).await;
            }
            Backend::Local(local) => local.cancel(),
        }
    }
}

impl Remote {
    async fn next(&mut self) -> Result<Received, SubscriptionEnded> {
        let next = match self.consumer.next().now_or_never() {
            Some(next) => next,
            None => self.wait().await?,
        };
        let delivery = next.ok_or(SubscriptionEnded::Cancelled)??;
        let tag = delivery.delivery_tag;
        let settlements = self.settlements.clone();
        Ok(Received::from_delivery(delivery, |acker| {
            Receipt::batched(BatchedLease::new(tag, acker, settlements))
        }))
    }

    /// Waits for the next message. If none arrives although messages are ready
    /// and prefetch allows another one, and still none after the same time
    /// again, the broker has most likely forgotten the subscription, and only
    /// an operator could recover from that. (Or its disk hangs, and a new
    /// subscription does no harm.)
    async fn wait(&mut self) -> Result<Option<lapin::Result<Delivery>>, SubscriptionEnded> {
        let mut was_ready = false;
        loop {
            if let Ok(next) = timeout(SILENCE, self.consumer.next()).await {
                return Ok(next);
            }
            if self.unacked() >= self.prefetch.into() {
                was_ready = false;
                continue;
            }
            let queue = self.consumer.queue();
            // On the subscription's own channel: messages in transit, however
            // slow, arrive before the answer.
            let depth = broker::declare_passive(&self.channel, queue.as_str());
            let ready = tokio::select! {
                biased;
                next = self.consumer.next() => return Ok(next),
                declared = depth => declared?.message_count(),
            };
            if was_ready && ready > 0 {
                let queue = queue.to_string();
                return Err(SubscriptionEnded::Forgotten { queue, ready });
            }
            was_ready = ready > 0;
        }
    }

    /// Returns the number of unacked messages.
    fn unacked(&self) -> usize {
        self.settlements.strong_count() - 1
    }
}
