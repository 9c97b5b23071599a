//! Delivery log: one record per event and endpoint, stored in MongoDB, where users
//! query it.
//!
//! [`DeliveryLog`] is the interface, [`MongoLog`] the implementation. Writes are
//! idempotent and commutative: the same results in any order, any number of
//! times, produce the same record, which is the one that
//! [`wahook_domain::DeliveryRecord`] derives from the set of attempts.
//!
//! Steps of a write:
//!
//! 1. `document` builds a record from each single result.
//! 2. First attempts are *inserted*: nearly every delivery succeeds at once, and
//!    an insert costs the server a ninth of an update.
//! 3. Results with an existing record are *merged* by an `update` with a constant
//!    aggregation pipeline (`merge`); the values are passed separately, as constants.
//! 4. `verdict` reads the server's reply for each statement, and `write` retries
//!    the statements that need it.

mod command;
mod connection;
mod counts;
mod document;
mod ended;
mod find;
mod indexes;
mod log;
mod merge;
mod payload;
mod survey;
mod verdict;
mod write;
mod writer;

pub use command::commands;
pub use connection::{LogSettingsError, MongoLog};
pub use counts::{CountBy, Counts};
pub use ended::{Ended, EndedFilter, FollowError, Following};
pub use log::{DeliveryLog, LogFuture, LogUnavailable, SharedLog, WriteReport};
pub use survey::{Survey, Surveyed};
