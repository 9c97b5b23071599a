//! Delivery log in MongoDB, where users query it: one document per event and endpoint.
//!
//! [`MongoLog`] implements the traits of `wahook-delivery-log`. The record that results
//! from the writes is the one that [`wahook_domain::DeliveryRecord`] derives from the set
//! of attempts.
//!
//! It also stores the state of operators, in the collections `wahookendpoints`,
//! `wahookactions`, `wahookjobs` and `wahookjobitems` of the same database.
//!
//! Steps of a write:
//!
//! 1. `document` writes a record of each single result into its command (`command`).
//! 2. First attempts are *inserted*: nearly every delivery succeeds at once, and
//!    an insert costs the server a ninth of an update.
//! 3. Results with an existing record are *merged* by an `update` with a constant
//!    aggregation pipeline (`merge`); the values are passed separately, as constants.
//! 4. `verdict` reads the server's reply for each statement, and `write` retries
//!    the statements that need it.

mod circuits;
mod command;
mod connection;
mod counts;
mod document;
mod ended;
mod eraser;
mod find;
mod found;
mod indexes;
mod jobs;
mod merge;
mod operator_state;
mod payload;
mod read;
mod search;
mod sent;
mod settings;
mod summary;
mod survey;
mod verdict;
mod write;
mod writer;

pub use command::commands;
pub use connection::{LogSettingsError, MongoLog};
pub use settings::{LogSettings, OpenError};
