//! Subscription whose messages are received at once, so that their bytes are counted and
//! bounded before a permit is free. Messages in the buffers of the client library have no bound
//! but their number.

use futures_util::FutureExt;
use std::{collections::VecDeque, future::pending, pin::pin, sync::Arc};
use wahook_domain::RecentSize;
use wahook_queue::{Receipt, Received, Subscription, SubscriptionEnded};

use crate::memory::{MemoryShare, Prefetch};

/// Messages of one subscription within the queue's share of the memory. The bodies of others
/// are dropped on arrival, and the messages are requeued once the broker sends no more.
pub(crate) struct BoundedSubscription {
    subscription: Subscription,
    memory: Arc<MemoryShare>,
    prefetch: Prefetch,
    recent: RecentSize,
    /// Received and not returned yet.
    waiting: VecDeque<Received>,
    /// Messages without their bodies.
    dropped: Vec<Receipt>,
    /// Reason for which no message follows those that wait.
    ended: Option<SubscriptionEnded>,
    is_cancelled: bool,
}

impl BoundedSubscription {
    pub(crate) fn new(
        subscription: Subscription,
        memory: Arc<MemoryShare>,
        prefetch: Prefetch,
    ) -> Self {
        Self {
            subscription,
            memory,
            prefetch,
            recent: RecentSize::default(),
            waiting: VecDeque::new(),
            dropped: Vec::new(),
            ended: None,
            is_cancelled: false,
        }
    }

    /// Returns the prefetch of the subscription.
    pub(crate) fn prefetch(&self) -> Prefetch {
        self.prefetch
    }

    /// Returns true once the broker sends no more messages.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled
    }

    /// Returns true if another number of messages fits, so that the subscription is to be
    /// replaced; false once it is cancelled.
    pub(crate) fn is_outdated(&self) -> bool {
        let now = self.memory.prefetch(self.prefetch.by_rate);
        !self.is_cancelled && (now != self.prefetch || !self.dropped.is_empty())
    }

    /// Waits for the next message. `None` stands for one that did not fit, for which the
    /// prefetch is lowered. Dropping the future loses none.
    pub(crate) async fn next(&mut self) -> Result<Option<Received>, SubscriptionEnded> {
        if let Some(received) = self.waiting.pop_front() {
            return Ok(Some(received));
        }
        if let Some(ended) = self.ended.take() {
            return Err(ended);
        }
        let received = self.subscription.next().await?;
        Ok(self.admit(received))
    }

    /// Waits for the next message and adds those already received, at most `max` together.
    /// There is none after one that did not fit. Dropping the future loses none.
    pub(crate) async fn next_batch(
        &mut self,
        max: usize,
    ) -> Result<Vec<Received>, SubscriptionEnded> {
        let mut batch: Vec<_> = self.next().await?.into_iter().collect();
        while !batch.is_empty() && batch.len() < max {
            match self.next().now_or_never() {
                Some(Ok(Some(received))) => batch.push(received),
                // The messages received so far are returned; the next call fails.
                Some(Err(ended)) => {
                    self.ended = Some(ended);
                    break;
                }
                Some(Ok(None)) | None => break,
            }
        }
        Ok(batch)
    }

    /// Receives messages until the future is dropped. They wait for [`Self::next`].
    pub(crate) async fn receive(&mut self) {
        while self.ended.is_none() {
            match self.subscription.next().await {
                Ok(received) => {
                    let admitted = self.admit(received);
                    self.waiting.extend(admitted);
                }
                Err(ended) => self.ended = Some(ended),
            }
        }
        pending::<()>().await;
    }

    /// Stops the broker from sending more. Messages already sent follow.
    pub(crate) async fn cancel(&mut self) {
        if self.is_cancelled {
            return;
        }
        {
            let mut cancelled = pin!(self.subscription.cancel());
            tokio::select! {
                () = &mut cancelled => {}
                () = self.receive() => {}
            }
        }
        self.is_cancelled = true;
        self.dropped.drain(..).for_each(requeue);
    }

    /// Returns the message if its bytes fit. With a prefetch of one message, all fit.
    fn admit(&mut self, received: Received) -> Option<Received> {
        let bytes = received.bytes();
        self.recent.record(bytes);
        if self.prefetch.by_size.is_some() {
            self.memory.record_size(bytes, self.prefetch);
        }
        let hold = match self.memory.try_hold(bytes) {
            Some(hold) => hold,
            None if self.prefetch.messages() == 1 => self.memory.hold(bytes),
            None => {
                self.drop_body(received);
                return None;
            }
        };
        Some(received.held_by(hold))
    }

    fn drop_body(&mut self, received: Received) {
        if self.is_cancelled {
            return requeue(received.receipt);
        }
        if self.dropped.is_empty() {
            self.memory.lower(self.recent, self.prefetch);
        }
        self.dropped.push(received.receipt);
    }
}

impl Drop for BoundedSubscription {
    /// Leaves messages that were not started: a dropped receipt would count their delivery.
    fn drop(&mut self) {
        let waiting = self.waiting.drain(..).map(|received| received.receipt);
        waiting
            .chain(self.dropped.drain(..))
            .for_each(Receipt::leave);
    }
}

/// Requeues a message of a subscription, which does not wait.
fn requeue(receipt: Receipt) {
    // Fails if the connection is lost: then the broker redelivers the message.
    let _ = receipt.requeue().now_or_never();
}

#[cfg(test)]
mod tests;
