//! A running subscription to one queue, which notices when the broker has
//! forgotten it.

use futures_util::{FutureExt, StreamExt};
use lapin::{Channel, Consumer, message::Delivery, options::BasicCancelOptions};
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::timeout};

use crate::{
    acks::{Ended, GatheredLease},
    broker,
    consumer_connection::{Receipt, Received, STEP_LIMIT},
    local::LocalSubscription,
};

/// How long nothing may come before the queue is asked whether something should.
const SILENCE: Duration = Duration::from_secs(5);

/// A running subscription to one queue. It ends when it is dropped; what it has
/// handed out can still be acknowledged.
pub struct Subscription(Feed);

enum Feed {
    RabbitMq(Box<Remote>),
    Local(LocalSubscription),
}

/// A subscription at a broker.
pub(crate) struct Remote {
    pub(crate) channel: Arc<Channel>,
    pub(crate) consumer: Consumer,
    /// How many messages are handed out at once, at the most.
    pub(crate) prefetch: u16,
    /// A clone of it is with each message that is handed out.
    pub(crate) endings: mpsc::UnboundedSender<Ended>,
}

/// Why a subscription hands out no more.
#[derive(Debug, thiserror::Error)]
pub enum SubscriptionEnded {
    /// The queue was deleted, or the subscription cancelled.
    #[error("the broker ended the subscription")]
    Cancelled,
    /// The broker has messages for it and hands out none; another subscription may
    /// get them.
    #[error("the broker hands out nothing of {queue}, where {ready} messages wait")]
    Forgotten {
        /// Which queue.
        queue: String,
        /// How many messages are in it and in nobody's hands.
        ready: u32,
    },
    /// The connection or channel is gone.
    #[error("{0}")]
    Broken(#[from] lapin::Error),
}

impl Subscription {
    pub(crate) fn remote(remote: Remote) -> Self {
        Self(Feed::RabbitMq(Box::new(remote)))
    }

    pub(crate) fn local(local: LocalSubscription) -> Self {
        Self(Feed::Local(local))
    }

    /// The next message. Dropping the future loses none.
    pub async fn next(&mut self) -> Result<Received, SubscriptionEnded> {
        match &mut self.0 {
            Feed::RabbitMq(remote) => remote.next().await,
            Feed::Local(local) => local.next().await.ok_or(SubscriptionEnded::Cancelled),
        }
    }

    /// The next message and whatever else is here already, `most` together at
    /// the most. Dropping the future loses none.
    pub async fn next_batch(&mut self, most: usize) -> Result<Vec<Received>, SubscriptionEnded> {
        let mut batch = vec![self.next().await?];
        while batch.len() < most {
            let Some(received) = self.next().now_or_never() else {
                break;
            };
            match received {
                Ok(received) => batch.push(received),
                // What was received before is given out; the next call ends.
                Err(_) => break,
            }
        }
        Ok(batch)
    }

    /// Tells the broker to send no more. What was sent already is still handed out
    /// and can be ended.
    pub async fn cancel(&self) {
        match &self.0 {
            Feed::RabbitMq(remote) => {
                let options = BasicCancelOptions::default();
                let cancel = remote.channel.basic_cancel(remote.consumer.tag(), options);
                let _ = timeout(STEP_LIMIT, cancel).await;
            }
            Feed::Local(local) => local.cancel(),
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
        let endings = self.endings.clone();
        Ok(Received::of(delivery, |acker| {
            Receipt::gathered(GatheredLease::new(tag, acker, endings))
        }))
    }

    /// What comes next. Where nothing does, though messages wait and one more may
    /// be handed out, and still does not after as long again, the broker has most
    /// likely forgotten the subscription, and only a person would ever end that.
    /// (Or its disk stands still, and another subscription does no harm.)
    async fn wait(&mut self) -> Result<Option<lapin::Result<Delivery>>, SubscriptionEnded> {
        let mut was_owed = false;
        loop {
            if let Ok(next) = timeout(SILENCE, self.consumer.next()).await {
                return Ok(next);
            }
            if self.held() >= self.prefetch.into() {
                was_owed = false;
                continue;
            }
            let queue = self.consumer.queue();
            // On the channel that messages come on: what is on its way, however
            // slowly, comes before the answer.
            let question = broker::look_at(&self.channel, queue.as_str());
            let ready = tokio::select! {
                biased;
                next = self.consumer.next() => return Ok(next),
                answer = question => answer?.message_count(),
            };
            if was_owed && ready > 0 {
                let queue = queue.to_string();
                return Err(SubscriptionEnded::Forgotten { queue, ready });
            }
            was_owed = ready > 0;
        }
    }

    /// Messages that are handed out and have not ended.
    fn held(&self) -> usize {
        self.endings.strong_count() - 1
    }
}
