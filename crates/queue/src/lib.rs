//! Publishing with confirms, consuming, delayed retries and dead letters, on
//! RabbitMQ or on a queue within this process.
//!
//! Three parts: [`message`] and [`topology`] are pure; [`rabbitmq`] and
//! [`local`] are the two backends. The types at the top level, such as
//! [`Publisher`] and [`ConsumerConnection`], are thin handles to either backend.

mod absent_queues;
mod broker;
mod consumer_connection;
mod dead_letters;
mod declaration;
mod depth;
mod endpoint_queues;
mod error;
mod inspector;
mod lane_subscription;
pub mod local;
mod local_subscription;
pub mod message;
mod publisher;
mod queue_messages;
pub mod rabbitmq;
mod reassignment;
mod received;
mod reconnect;
mod settlement;
mod subscription;
pub mod topology;

pub use absent_queues::AbsentQueues;
pub use broker::Broker;
pub use consumer_connection::{ConsumerConnection, Observer};
pub use dead_letters::DeadLetters;
pub use declaration::Declaration;
pub use depth::Depth;
pub use endpoint_queues::{EndpointQueue, EndpointQueues};
pub use error::PublishError;
pub use inspector::{
    Inspector, Look, LookError, Seen, StoreUnreadable, StoredMessages, StoredQueues,
};
pub use lane_subscription::LaneSubscription;
pub use local::LocalQueue;
pub use message::{
    DROPPED, DeadLetter, Death, DeathReason, MessageMetadata, Outgoing, Parked, Poison, Stored,
    WIRE_VERSION,
};
pub use publisher::{Publisher, PublisherTask};
pub use queue_messages::QueueMessages;
pub use rabbitmq::{
    BrokerError, BrokerUri, ConnectError, InvalidBrokerUri, QueueMessagesError, RemoteLookError,
    SubscriptionEnded,
};
pub use received::{AckError, Receipt, Received};
pub use reconnect::reconnect_backoff;
pub use subscription::Subscription;
pub use topology::{LANE_PREFETCH, Topology};
pub use wahook_domain::LinkState;
