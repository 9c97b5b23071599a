//! Publishing with confirms, consuming, delayed retries and dead letters, on
//! RabbitMQ or on a queue within this process.
//!
//! Three parts: [`message`] and [`topology`] are pure; [`rabbitmq`] and
//! [`local`] are the two backends. The types at the top level, such as
//! [`Publisher`] and [`ConsumerConnection`], are thin handles to either backend.

mod broker;
mod consumer_connection;
mod dead_letters;
mod depth;
mod error;
mod inspector;
pub mod local;
pub mod message;
mod publisher;
pub mod rabbitmq;
mod received;
mod reconnect;
mod settlement;
mod subscription;
pub mod topology;

pub use broker::Broker;
pub use consumer_connection::{ConsumerConnection, Observer};
pub use dead_letters::DeadLetters;
pub use depth::Depth;
pub use error::PublishError;
pub use inspector::{
    Inspector, Look, LookError, Seen, StoreUnreadable, StoredMessages, StoredQueues,
};
pub use local::LocalQueue;
pub use message::{
    DeadLetter, Death, DeathReason, MessageMetadata, Outgoing, Poison, Stored, WIRE_VERSION,
};
pub use publisher::{Publisher, PublisherTask};
pub use rabbitmq::{
    BrokerError, BrokerUri, ConnectError, DeadLettersError, InvalidBrokerUri, RemoteLookError,
    SubscriptionEnded,
};
pub use received::{AckError, Receipt, Received};
pub use reconnect::reconnect_backoff;
pub use subscription::Subscription;
pub use topology::Topology;
pub use wahook_domain::LinkState;
