//! What a queue must do for wahook (publish with a confirm, hand out work,
//! retry later, park dead letters), and RabbitMQ doing it.
//!
//! lapin's own recovery is not used: each connection is supervised here and
//! built anew on any error, with a deadline around every step.

mod acks;
pub mod broker;
pub mod dead_letters;
#[cfg(test)]
mod hostile;
pub mod intake;
pub mod link;
pub mod local;
pub mod look;
pub mod message;
pub mod publisher;
mod readable;
mod routing;
mod settle;
pub mod spill;
pub mod stored;
pub mod subscription;
pub mod topology;
mod wire;

pub use broker::{Broker, BrokerUri, ConnectError, InvalidBrokerUri, reconnect_backoff};
pub use dead_letters::{DeadLetter, DeadLetters, DeadLettersError};
pub use intake::{AckError, Intake, Observer, Receipt, Received};
pub use link::LinkState;
pub use local::LocalQueue;
pub use look::{Depth, Inspector, Look, LookError, Seen};
pub use message::{Outgoing, Poison};
pub use publisher::{PublishError, Publisher, PublisherTask};
pub use stored::Stored;
pub use subscription::{Subscription, SubscriptionEnded};
pub use topology::Topology;
