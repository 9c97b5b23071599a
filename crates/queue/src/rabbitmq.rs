//! RabbitMQ: connections, publishing, subscriptions, and messages in their AMQP
//! form.
//!
//! lapin's own recovery is not used: each connection is supervised here and
//! replaced after any error, with a deadline for every step.

mod ack_batcher;
mod acks;
mod confirms;
mod connection;
mod consumer_connection;
mod deadline;
mod declare;
mod delivered;
mod endpoint_queues;
mod error;
mod flow;
#[cfg(test)]
mod hostile;
mod inspector;
mod keyed;
mod lane;
pub mod properties;
mod publisher;
mod queue_messages;
mod readable;
mod refusal;
mod registry;
mod servers;
mod silence;
mod subscription;
mod turns;
mod uri;
mod wire;

pub(crate) use acks::{BatchedLease, DirectLease};
pub(crate) use consumer_connection::{RemoteConnection, RemoteObserver};
pub(crate) use delivered::{Delivered, Properties};
pub(crate) use endpoint_queues::RemoteEndpointQueues;
pub use error::{BrokerError, ConnectError};
pub use inspector::RemoteLookError;
pub(crate) use inspector::{RemoteInspector, RemoteLook, RemoteSeen};
pub(crate) use lane::RemoteLane;
pub(crate) use publisher::{RemotePublisher, RunningTask};
pub use queue_messages::QueueMessagesError;
pub(crate) use queue_messages::RemoteMessages;
pub(crate) use subscription::RemoteSubscription;
pub use subscription::SubscriptionEnded;
pub use uri::{BrokerUri, InvalidBrokerUri};
