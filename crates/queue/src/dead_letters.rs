//! Dead letters: read one by one, and each settled at most once, as
//! [`QueueMessages`].

use crate::{
    broker::Broker,
    message::DeadLetter,
    queue_messages::QueueMessages,
    rabbitmq::QueueMessagesError,
    received::Receipt,
    topology::{AUTO_REDRIVE_QUEUE, DEAD_QUEUE},
};

/// Dead letters that existed at the time of opening.
pub struct DeadLetters(QueueMessages);

impl DeadLetters {
    /// Connects once.
    pub async fn open(broker: &Broker, name: &str) -> Result<Self, QueueMessagesError> {
        QueueMessages::open(broker, name, DEAD_QUEUE)
            .await
            .map(Self)
    }

    /// Connects once, for an automatic redrive or for what has to wait for its end. Returns
    /// `None` while another program has the dead letters open in this way.
    pub async fn open_for_auto_redrive(
        broker: &Broker,
        name: &str,
    ) -> Result<Option<Self>, QueueMessagesError> {
        let letters = Self::open(broker, name).await?;
        match letters.0.lock(AUTO_REDRIVE_QUEUE).await {
            Ok(true) => Ok(Some(letters)),
            Ok(false) => {
                letters.close().await;
                Ok(None)
            }
            Err(error) => {
                letters.close().await;
                Err(error)
            }
        }
    }

    /// Returns the number of dead letters still to be read. Later ones are not
    /// included, so that reading ends.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.0.left()
    }

    /// Takes the next dead letter, with its receipt. They have no order.
    pub async fn next(&mut self) -> Result<Option<(DeadLetter, Receipt)>, QueueMessagesError> {
        let received = self.0.next().await?;
        Ok(received.map(|received| (received.dead_letter(), received.receipt)))
    }

    /// Waits until the broker has processed the acks. RabbitMQ drops those that a channel has not passed
    /// to its queue when it is closed.
    pub async fn flush(&self) -> Result<(), QueueMessagesError> {
        self.0.flush().await
    }

    /// Closes the connection; the broker requeues what was not settled.
    pub async fn close(self) {
        self.0.close().await;
    }
}
