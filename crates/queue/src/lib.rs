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
pub mod inspector;
pub mod link;
pub mod local;
pub mod message;
pub mod publisher;
pub mod rabbitmq;
mod readable;
mod routing;
pub mod subscription;
pub mod topology;
mod wire;

pub use broker::{Broker, BrokerUri, ConnectError, InvalidBrokerUri, reconnect_backoff};
pub use consumer_connection::{AckError, ConsumerConnection, Observer, Receipt, Received};
pub use dead_letters::{DeadLetters, DeadLettersError};
pub use inspector::{Depth, Inspector, Look, LookError, Seen};
pub use link::LinkState;
pub use local::LocalQueue;
pub use message::{
    DeadLetter, Death, DeathReason, MessageMetadata, Outgoing, Poison, Stored, WIRE_VERSION,
};
pub use publisher::{PublishError, Publisher, PublisherTask};
pub use subscription::{Subscription, SubscriptionEnded};
pub use topology::Topology;
