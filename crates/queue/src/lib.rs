//! Publishing with confirms, consuming, delayed retries and dead letters, on
//! RabbitMQ or on a queue within this process.
//!
//! lapin's own recovery is not used: each connection is supervised here and
//! replaced after any error, with a deadline for every step.

mod acks;
pub mod broker;
mod confirms;
pub mod consumer_connection;
pub mod dead_letters;
#[cfg(test)]
mod hostile;
pub mod inspector;
pub mod local;
pub mod message;
pub mod publisher;
mod readable;
pub mod result_message;
mod routing;
pub mod stored;
pub mod subscription;
pub mod topology;
mod wire;

pub use broker::{Broker, BrokerUri, ConnectError, InvalidBrokerUri, reconnect_backoff};
pub use consumer_connection::{AckError, ConsumerConnection, Observer, Receipt, Received};
pub use dead_letters::{DeadLetter, DeadLetters, DeadLettersError};
pub use inspector::{Depth, Inspector, Look, LookError, Seen};
pub use local::LocalQueue;
pub use message::{Outgoing, Poison};
pub use publisher::{PublishError, Publisher, PublisherTask};
pub use stored::Stored;
pub use subscription::{Subscription, SubscriptionEnded};
pub use topology::Topology;
pub use wahook_domain::LinkState;
