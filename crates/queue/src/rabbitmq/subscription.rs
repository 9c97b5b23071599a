//! Subscription to one queue, with detection of a subscription that the broker
//! has forgotten, and with a prefetch that follows the sizes of the messages.

use futures_util::{FutureExt, StreamExt};
use lapin::{Channel, Connection, Consumer, message::Delivery};
use std::{collections::VecDeque, pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use wahook_domain::{Adaptation, AdaptivePrefetch};

use super::{
    ack_batcher::SettledMessage,
    acks::{BatchedLease, write_acks},
    connection,
    deadline::with_deadline,
    delivered::Delivered,
    error::{BrokerError, ConnectError},
    replacement::{Next, Replaced, Replacement, cancel, consume},
};
use crate::held::{HeldAccount, HeldBytes};

/// Time without messages after which the queue's depth is checked.
const SILENCE: Duration = Duration::from_secs(5);

/// Running subscription. Dropping it ends it; messages that it delivered can
/// still be settled.
pub(crate) struct RemoteSubscription {
    channel: Arc<Channel>,
    consumer: Consumer,
    /// Limit of messages that are delivered and unacked.
    prefetch: AdaptivePrefetch,
    /// Bytes of these messages.
    account: HeldAccount,
    /// Messages that arrived while no caller waited for them.
    received: VecDeque<Received>,
    /// Reason for which none will follow.
    ended: Option<SubscriptionEnded>,
    /// Successor of `consumer`, which is cancelled.
    replacement: Option<Replacement>,
    is_cancelled: bool,
    /// Each unsettled message holds a clone.
    settlements: mpsc::UnboundedSender<SettledMessage>,
}

/// Message without a lease: dropping it leaves it to the broker, which redelivers it when
/// the channel closes.
struct Received {
    delivery: Delivery,
    held: HeldBytes,
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
    /// Subscribes to a queue, with at most `ceiling` unacked messages, fewer while their
    /// bytes do not fit into the account. Acks are written until `closing` is true.
    pub(super) async fn begin(
        connection: &Connection,
        queue: &str,
        ceiling: u16,
        account: HeldAccount,
        closing: watch::Receiver<bool>,
    ) -> Result<Self, ConnectError> {
        let channel = Arc::new(connection::channel(connection).await?);
        let prefetch = AdaptivePrefetch::new(ceiling, account.room());
        let subscribe = consume(&channel, queue.into(), prefetch.current());
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
            account,
            received: VecDeque::new(),
            ended: None,
            replacement: None,
            is_cancelled: false,
            settlements,
        })
    }

    /// Stops the broker from sending more.
    pub(crate) async fn cancel(&mut self) {
        self.is_cancelled = true;
        if let Some(replacement) = &self.replacement {
            replacement.stop();
        } else {
            let cancel = cancel(&self.channel, self.consumer.tag());
            // Fails if the connection is closed, which ends the subscription.
            let _ = with_deadline(cancel).await;
        }
    }

    /// Waits for the next message. Dropping the future loses none.
    pub(crate) async fn next(&mut self) -> Result<Delivered<BatchedLease>, SubscriptionEnded> {
        let Received { delivery, held } = match self.received.pop_front() {
            Some(received) => received,
            None => match self.ended.take() {
                Some(ended) => return Err(ended),
                None => self.receive().await?,
            },
        };
        let tag = delivery.delivery_tag;
        let settlements = self.settlements.clone();
        Ok(Delivered::new(delivery, |acker| {
            BatchedLease::new(tag, acker, settlements, held)
        }))
    }

    /// Waits for `other` and receives messages meanwhile: messages in lapin's own queue
    /// are not counted.
    pub(crate) async fn receive_until<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        while self.ended.is_none() {
            tokio::select! {
                biased;
                done = &mut other => return done,
                received = self.receive() => match received {
                    Ok(received) => self.received.push_back(received),
                    Err(ended) => self.ended = Some(ended),
                },
            }
        }
        other.await
    }

    async fn receive(&mut self) -> Result<Received, SubscriptionEnded> {
        let delivery = self.arrival().await?;
        let size = delivery.data.len();
        let held = self.account.hold(size);
        self.adapt(size);
        Ok(Received { delivery, held })
    }

    /// Replaces the subscription if the size of a message requires it. The message is not
    /// among the unacked ones yet.
    fn adapt(&mut self, size: usize) {
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        let (held, room) = (self.account.held(), self.account.room());
        let unacked = self.unacked() + 1;
        let next = match self.prefetch.received(size, unacked, held, room) {
            Adaptation::Keep => return,
            Adaptation::Grow(next) => Next::Larger(next),
            Adaptation::Pause => Next::Fitting,
        };
        if self.replacement.is_some() || self.is_cancelled {
            return;
        }
        let replaced = Replaced {
            channel: Arc::clone(&self.channel),
            tag: self.consumer.tag(),
            queue: self.consumer.queue(),
            prefetch: self.prefetch.clone(),
            account: self.account.clone(),
        };
        self.replacement = Some(Replacement::start(replaced, next));
    }

    /// Waits for the next message of this subscription or its successors.
    async fn arrival(&mut self) -> Result<Delivery, SubscriptionEnded> {
        loop {
            let next = match self.consumer.next().now_or_never() {
                Some(next) => next,
                None => self.wait().await?,
            };
            match next {
                Some(delivery) => return Ok(delivery?),
                None => self.succeed().await?,
            }
        }
    }

    /// Continues with the successor of a subscription that has ended.
    async fn succeed(&mut self) -> Result<(), SubscriptionEnded> {
        let Some(replacement) = &mut self.replacement else {
            return Err(SubscriptionEnded::Cancelled);
        };
        let started = replacement.done().await;
        self.replacement = None;
        let started = started.ok_or(SubscriptionEnded::Cancelled)?;
        self.consumer = started.consumer;
        self.prefetch = started.prefetch;
        if self.is_cancelled {
            self.cancel().await;
        }
        Ok(())
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
            if let Some(replacement) = &self.replacement {
                if replacement.is_finished() {
                    return Ok(None);
                }
                // It waits for settlements, not for the broker.
                was_ready = false;
                continue;
            }
            if self.unacked() >= self.prefetch.current().into() {
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
        self.received.len() + self.settlements.strong_count() - 1
    }
}
