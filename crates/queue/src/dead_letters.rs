//! Dead letters: read one by one, and each settled at most once.
//!
//! A dead letter that was taken is hidden from others until it is settled or
//! the connection closes; then the broker requeues what was not settled. So
//! reading changes nothing, and an interrupted program loses nothing.

use std::sync::Arc;

use crate::{
    broker::Broker,
    local::{self, SharedQueue},
    message::DeadLetter,
    rabbitmq::{DeadLettersError, RemoteDeadLetters},
    received::{Receipt, Received},
    topology::DEAD_QUEUE,
};

/// Dead letters that existed at the time of opening.
pub struct DeadLetters {
    backend: Backend,
    left: u32,
}

enum Backend {
    RabbitMq(RemoteDeadLetters),
    Local(SharedQueue),
}

impl DeadLetters {
    /// Connects once.
    pub async fn open(broker: &Broker, name: &str) -> Result<Self, DeadLettersError> {
        let (backend, left) = match broker {
            Broker::RabbitMq(uri) => {
                let (remote, left) = RemoteDeadLetters::open(uri, name).await?;
                (Backend::RabbitMq(remote), left)
            }
            Broker::Local(queue) => {
                let left = local::depth(queue, DEAD_QUEUE).await;
                (Backend::Local(Arc::clone(queue)), left)
            }
        };
        Ok(Self { backend, left })
    }

    /// Returns the number of dead letters still to be read. Later ones are not
    /// included, so that reading ends.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Takes the next dead letter, with its receipt. They have no order.
    pub async fn next(&mut self) -> Result<Option<(DeadLetter, Receipt)>, DeadLettersError> {
        if self.left == 0 {
            return Ok(None);
        }
        let got = match &self.backend {
            Backend::RabbitMq(remote) => remote.next().await?.map(Received::from),
            Backend::Local(queue) => local::take(queue, DEAD_QUEUE).await.map(Received::from),
        };
        // The queue is empty early if another client has settled or taken some.
        self.left = if got.is_some() { self.left - 1 } else { 0 };
        Ok(got.map(|received| (received.dead_letter(), received.receipt)))
    }

    /// Closes the connection; the broker requeues what was not settled.
    pub async fn close(self) {
        if let Backend::RabbitMq(remote) = &self.backend {
            remote.close().await;
        }
    }
}
