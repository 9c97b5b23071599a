//! Publisher with confirms, to RabbitMQ or to a queue within this process.

use backoff::backoff::Backoff;
use std::{pin::pin, time::Duration};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use wahook_domain::{EventId, LinkState};

use crate::{
    broker::Broker,
    error::PublishError,
    local::{self, Command, SharedQueue},
    message::Outgoing,
    rabbitmq::{RemotePublisher, RunningTask},
    reconnect::reconnect_backoff,
    topology::Topology,
};

/// Handle for publishing; clones share one channel.
#[derive(Clone)]
pub struct Publisher {
    backend: Backend,
    link: watch::Receiver<LinkState>,
    deadline: Duration,
}

#[derive(Clone)]
enum Backend {
    /// The task that owns the channel.
    RabbitMq(RemotePublisher),
    /// The store within this process.
    Local(SharedQueue),
}

/// Task behind the handles; `None` for a store within this process.
pub struct PublisherTask(Option<RunningTask>);

impl Publisher {
    /// Starts the task. `deadline` limits the wait of a publish for its
    /// confirm. Connecting continues in the background indefinitely.
    #[must_use]
    pub fn start(
        broker: impl Into<Broker>,
        name: &str,
        topology: Topology,
        deadline: Duration,
    ) -> (Self, PublisherTask) {
        match broker.into() {
            Broker::RabbitMq(uri) => {
                let (remote, link, task) = RemotePublisher::start(uri, name, topology);
                let publisher = Self {
                    backend: Backend::RabbitMq(remote),
                    link,
                    deadline,
                };
                (publisher, PublisherTask(Some(task)))
            }
            Broker::Local(queue) => {
                queue.submit(Command::Declare(topology));
                let publisher = Self {
                    link: queue.link(),
                    backend: Backend::Local(queue),
                    deadline,
                };
                (publisher, PublisherTask(None))
            }
        }
    }

    /// Returns the state of the connection, to watch.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<LinkState> {
        self.link.clone()
    }

    /// Publishes and waits for the confirm. `Ok` means that at least one queue
    /// has the message, durably.
    pub async fn publish(&self, message: Outgoing) -> Result<(), PublishError> {
        // Pinned, because `timeout` would copy a future of some KiB.
        let confirmed = pin!(self.confirmed(message));
        timeout(self.deadline, confirmed)
            .await
            .unwrap_or(Err(PublishError::TimedOut))
    }

    async fn confirmed(&self, message: Outgoing) -> Result<(), PublishError> {
        if self.link.borrow().blocked.is_some() {
            return Err(PublishError::Blocked);
        }
        match &self.backend {
            Backend::RabbitMq(remote) => remote.publish(message).await,
            Backend::Local(queue) => local::publish(queue, message).await,
        }
    }

    /// Publishes, and waits for the confirm as long as the connection lasts: after a long stall the
    /// broker would store each copy that was sent meanwhile.
    async fn publish_patiently(&self, message: &Outgoing) -> Result<(), PublishError> {
        let mut confirmed = pin!(self.confirmed(message.clone()));
        loop {
            if let Ok(confirmed) = timeout(self.deadline, &mut confirmed).await {
                return confirmed;
            }
            let id = message.metadata.id.as_ref().map(EventId::as_str);
            tracing::warn!(id, "no confirm yet, waiting");
        }
    }

    /// Publishes messages for one queue in their order, on one connection, and waits for all
    /// confirms. After an error any of them may be durable, but none without those before it.
    pub async fn publish_in_order(&self, messages: Vec<Outgoing>) -> Result<(), PublishError> {
        if self.link.borrow().blocked.is_some() {
            return Err(PublishError::Blocked);
        }
        let step = async {
            match &self.backend {
                Backend::RabbitMq(remote) => remote.publish_in_order(messages).await,
                Backend::Local(queue) => local::publish_in_order(queue, messages).await,
            }
        };
        timeout(self.deadline, step)
            .await
            .unwrap_or(Err(PublishError::TimedOut))
    }

    /// Publishes repeatedly until the broker has confirmed. The copies that an
    /// ambiguous failure leaves are duplicates with one id.
    pub async fn publish_until_confirmed(&self, message: &Outgoing) {
        let mut backoff = reconnect_backoff();
        while let Err(error) = self.publish_patiently(message).await {
            let pause = backoff.next_backoff().unwrap_or(backoff.max_interval);
            tracing::warn!(%error, id = message.metadata.id.as_ref().map(EventId::as_str), ?pause, "publish failed, retrying");
            // A new connection is used at once.
            tokio::select! {
                () = sleep(pause) => {}
                () = self.until_connected(), if error == PublishError::Disconnected => {}
            }
        }
    }

    async fn until_connected(&self) {
        if self.link.clone().wait_for(|link| link.up).await.is_err() {
            // The task has ended: only the pause can end the wait.
            std::future::pending::<()>().await;
        }
    }
}

impl PublisherTask {
    /// Waits until the task has ended by itself: by a panic. Nothing is published after it.
    pub async fn ended(&mut self) {
        match &mut self.0 {
            Some(task) => task.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Waits for confirms in flight, for at most `limit`, then closes the
    /// connection.
    pub async fn close(self, limit: Duration) {
        if let Some(task) = self.0 {
            task.close(limit).await;
        }
    }
}
