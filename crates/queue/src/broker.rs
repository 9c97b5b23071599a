//! Choice of the queue backend.

use std::fmt;

use crate::{local::SharedQueue, rabbitmq::BrokerUri};

/// Queue backend.
#[derive(Clone)]
pub enum Broker {
    /// RabbitMQ server.
    RabbitMq(BrokerUri),
    /// Store within this process.
    Local(SharedQueue),
}

impl From<BrokerUri> for Broker {
    fn from(uri: BrokerUri) -> Self {
        Self::RabbitMq(uri)
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RabbitMq(uri) => uri.fmt(f),
            Self::Local(_) => f.write_str("the embedded store"),
        }
    }
}
