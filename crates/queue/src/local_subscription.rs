//! Subscriptions to queues within this process.

use tokio::sync::mpsc;

use crate::local::{Command, Delivered, SharedQueue, Subscriber, SubscriberId};

/// Subscriber's side of a subscription. Dropping it ends the subscription and
/// requeues unread messages.
pub(crate) struct LocalSubscription {
    queue: SharedQueue,
    id: SubscriberId,
    messages: mpsc::UnboundedReceiver<Delivered>,
}

impl LocalSubscription {
    pub(crate) fn begin(queue: SharedQueue, name: &str, prefetch: u16) -> Self {
        Self::start(queue, name, prefetch, false)
    }

    fn start(queue: SharedQueue, name: &str, prefetch: u16, is_single_active: bool) -> Self {
        let id = SubscriberId::unique();
        let (sender, messages) = mpsc::unbounded_channel();
        queue.submit(Command::Subscribe(Subscriber {
            id,
            queue: name.to_owned(),
            prefetch,
            is_single_active,
            messages: sender,
        }));
        Self {
            queue,
            id,
            messages,
        }
    }

    /// Waits for the next message; `None` once the subscription has ended.
    pub(crate) async fn next(&mut self) -> Option<Delivered> {
        self.messages.recv().await
    }

    pub(crate) fn cancel(&self) {
        self.queue.submit(Command::Cancel(self.id));
    }
}

impl Drop for LocalSubscription {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Subscriber's side of a subscription to a lane. Dropping it returns all unsettled
/// messages to their places.
pub(crate) struct LocalLane(LocalSubscription);

impl LocalLane {
    pub(crate) fn begin(queue: SharedQueue, name: &str, prefetch: u16) -> Self {
        Self(LocalSubscription::start(queue, name, prefetch, true))
    }

    /// Waits for the next message; `None` once the store is closed.
    pub(crate) async fn next(&mut self) -> Option<Delivered> {
        self.0.next().await
    }
}

impl Drop for LocalLane {
    fn drop(&mut self) {
        self.0.queue.submit(Command::GiveUp(self.0.id));
    }
}
