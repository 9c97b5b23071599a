//! Queue and delivery log in one SQLite file, in place of RabbitMQ and MongoDB on a single
//! machine.
//!
//! A single thread owns the file and the state of the queues, so no locks are needed. It
//! takes all pending requests, writes their changes in one transaction, and replies after
//! the commit, which syncs the file: under load, more requests share one sync.
//!
//! Messages in delivery are leased in memory only. After a crash all messages in the file
//! are delivered again, marked as redelivered.

mod another_event;
mod backlog;
mod batch;
mod census;
mod check;
mod circuits;
mod columns;
mod contents;
mod damage;
mod dead_letters;
mod declared;
mod delays;
mod depths;
mod destination;
mod engine;
mod eraser;
mod error;
mod file_lock;
mod files;
mod identity;
mod inspector;
mod jobs;
mod log;
mod messages;
mod migration;
mod open;
mod operator_state;
mod payload;
mod queues;
mod reader;
mod reassign;
mod reclaim;
mod records;
mod request;
mod results;
mod retention;
mod schema;
mod shared_connection;
mod store;

pub use backlog::Backlog;
pub use check::{Depth, check, compact};
pub use contents::{Amounts, Contents, FoundMessage, LogRecord, MessageTable, Position};
pub use damage::is_damage;
pub use dead_letters::open_dead_letters;
pub use depths::{DepthReader, Depths};
pub use destination::Destination;
pub use eraser::EmbeddedEraser;
pub use error::OpenError;
pub use inspector::EmbeddedInspector;
pub use log::EmbeddedLog;
pub use operator_state::EmbeddedOperatorState;
pub use reader::EmbeddedReader;
pub use store::Store;
