//! Subscription to one queue, with detection of a subscription that the broker
//! has forgotten.

use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel, Connection, Consumer,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    ack_batcher::SettledMessage,
    acks::{BatchedLease, write_acks},
    connection,
    deadline::with_deadline,
    delivered::Delivered,
    error::{BrokerError, ConnectError},
};

/// Time without messages after which the queue's depth is checked.
const SILENCE: Duration = Duration::from_secs(5);

/// Running subscription. Dropping it ends it; messages that it delivered can
/// still be settled.
pub(crate) struct RemoteSubscription {
    channel: Arc<Channel>,
    consumer: Consumer,
    /// Limit of messages that are delivered and unacked.
    prefetch: u16,
    /// Each unsettled message holds a clone.
    settlements: mpsc::UnboundedSender<SettledMessage>,
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
    Broken(#[from] BrokerError),
}

impl From<lapin::Error> for SubscriptionEnded {
    fn from(error: lapin::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl RemoteSubscription {
    /// Subscribes to a queue, with at most `prefetch` unacked messages. Acks are
    /// written until `closing` is true.
    pub(super) async fn begin(
        connection: &Connection,
        queue: &str,
        prefetch: u16,
        closing: watch::Receiver<bool>,
    ) -> Result<Self, ConnectError> {
        let channel = Arc::new(connection::channel(connection).await?);
        let subscribe = async {
            channel
                .basic_qos(prefetch, BasicQosOptions::default())
                .await?;
            let (tag, options) = ("".into(), BasicConsumeOptions::default());
            channel
                .basic_consume(queue.into(), tag, options, FieldTable::default())
                .await
        };
        let consumer = connection::queue_step(queue, &channel, subscribe).await?;
        let (settlements, settled) = mpsc::unbounded_channel();
        let writing = write_acks(settled, closing);
        let open = Arc::clone(&channel);
        tokio::spawn(async move {
            writing.await;
            // A message can only be settled on the channel that delivered it.
            drop(open);
        });
        Ok(Self {
            channel,
            consumer,
            prefetch,
            settlements,
        })
    }

    /// Stops the broker from sending more.
    pub(crate) async fn cancel(&self) {
        let options = BasicCancelOptions::default();
        let cancel = self.channel.basic_cancel(self.consumer.tag(), options);
        // Fails if the connection is closed, which ends the subscription.
        let _ = with_deadline(cancel).await;
    }

    /// Waits for the next message. Dropping the future loses none.
    pub(crate) async fn next(&mut self) -> Result<Delivered<BatchedLease>, SubscriptionEnded> {
        let next = match self.consumer.next().now_or_never() {
            Some(next) => next,
            None => self.wait().await?,
        };
        let delivery = next.ok_or(SubscriptionEnded::Cancelled)??;
        let tag = delivery.delivery_tag;
        let settlements = self.settlements.clone();
        Ok(Delivered::new(delivery, |acker| {
            BatchedLease::new(tag, acker, settlements)
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
            let depth = connection::declare_passive(&self.channel, queue.as_str());
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
