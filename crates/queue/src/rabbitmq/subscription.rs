//! Subscription to one queue, with detection of a subscription that the broker
//! has forgotten.

use futures_util::{FutureExt, StreamExt};
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::timeout};

use super::{
    ack_batcher::SettledMessage,
    acks::{BatchedLease, Closing, write_acks},
    connection,
    deadline::with_deadline,
    delivered::Delivered,
    error::{BrokerError, ConnectError},
};
use crate::settlement::Unsettled;

/// Time without messages after which the queue's depth is checked.
const SILENCE: Duration = Duration::from_secs(5);

/// Running subscription. Dropping it ends it; messages that it delivered can
/// still be settled.
pub(crate) struct RemoteSubscription {
    channel: Arc<Channel>,
    consumer: Consumer,
    role: Role,
    /// Limit of messages that are delivered and unacked.
    prefetch: u16,
    /// Each unsettled message holds a clone.
    settlements: mpsc::UnboundedSender<SettledMessage>,
}

/// Kind of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// One of the subscriptions that share a queue.
    Shared,
    /// Owner of a lane once `is_active`, which the first message shows; before it, the
    /// subscription waits for the lane.
    Lane { is_active: bool },
}

/// Reasons for which a subscription ends.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionEnded {
    /// The queue was deleted, the subscription cancelled, or a message unacked for longer than
    /// the consumer timeout (RabbitMQ 4.3; earlier ones close the channel).
    #[error(
        "the broker ended the subscription: its queue was deleted, or a message was not settled \
         within its consumer_timeout"
    )]
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

impl SubscriptionEnded {
    /// Returns true if the other subscriptions of the connection continue, so that a new
    /// subscription is enough.
    #[must_use]
    pub fn spares_connection(&self) -> bool {
        match self {
            Self::Cancelled | Self::Forgotten { .. } => true,
            Self::Broken(error) => error.is_of_channel(),
        }
    }
}

impl From<lapin::Error> for SubscriptionEnded {
    fn from(error: lapin::Error) -> Self {
        Self::Broken(error.into())
    }
}

impl RemoteSubscription {
    /// Subscribes to a queue on a new channel, with at most `prefetch` unacked
    /// messages. Acks are written until `closing`.
    pub(super) async fn begin(
        channel: Arc<Channel>,
        queue: &str,
        prefetch: u16,
        role: Role,
        closing: Closing,
    ) -> Result<Self, ConnectError> {
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
            role,
            prefetch,
            settlements,
        })
    }

    /// Closes the channel; the broker redelivers unacked messages.
    pub(super) async fn close_channel(&self) -> lapin::Result<()> {
        self.channel.close(200, "given up".into()).await
    }

    /// Returns true while the channel is open.
    pub(super) fn is_open(&self) -> bool {
        self.channel.status().connected()
    }

    /// Stops the broker from sending more. The future does not borrow the subscription, so
    /// that messages can be received meanwhile.
    pub(crate) fn cancel(&self) -> impl Future<Output = ()> + Send + use<> {
        let (channel, tag) = (Arc::clone(&self.channel), self.consumer.tag());
        async move {
            let cancel = channel.basic_cancel(tag, BasicCancelOptions::default());
            // Fails if the connection is closed, which ends the subscription.
            let _ = with_deadline(cancel).await;
        }
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
        let unsettled = match &mut self.role {
            Role::Shared => Unsettled::Returns,
            Role::Lane { is_active } => {
                *is_active = true;
                Unsettled::Stays
            }
        };
        Ok(Delivered::new(delivery, |acker| {
            BatchedLease::new(tag, acker, settlements, unsettled)
        }))
    }

    /// Waits for the next message. If none arrives although messages are ready
    /// and prefetch allows another one, and still none after the same time
    /// again, the broker has most likely forgotten the subscription, and only
    /// an operator could recover from that. (Or its disk hangs, and a new
    /// subscription does no harm.) The messages of a lane that has an owner are ready
    /// for it, and not for the subscriptions that wait.
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
            let declared = tokio::select! {
                biased;
                next = self.consumer.next() => return Ok(next),
                declared = depth => declared?,
            };
            let is_waiting = self.role == (Role::Lane { is_active: false });
            let has_owner = is_waiting && declared.consumer_count() > 0;
            let ready = if has_owner {
                0
            } else {
                declared.message_count()
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
