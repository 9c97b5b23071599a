//! Queue and delivery log in one SQLite file, within this process: what stands in for
//! RabbitMQ and MongoDB where one machine is enough.
//!
//! One thread owns the file and all that is known of the queues, so nothing here is locked.
//! It takes whatever requests have gathered while it was busy, puts what they change into
//! one transaction, and answers them after its commit, which syncs the file: the busier it
//! is, the more share one sync.
//!
//! What is on its way to a webhook is a lease in memory: after a crash all that is in the
//! file is handed out again, marked as redelivered.

mod batch;
mod contents;
mod declared;
mod engine;
mod log;
mod messages;
mod open;
mod queues;
mod reader;
mod records;
mod store;
mod visitor;

pub use contents::{Amounts, Contents, Found, Logged, Place, Shelf};
pub use log::EmbeddedLog;
pub use open::OpenError;
pub use reader::{Ends, LogReader};
pub use store::Store;
pub use visitor::visit;
