//! The delivery log: what became of every event, one record per event and
//! endpoint, kept in MongoDB where users query it themselves.
//!
//! [`DeliveryLog`] says what a log must do, [`MongoLog`] does it. A write is
//! idempotent and commutative: the same results in any order, any number of
//! times, end in the same record, which is the one that
//! [`wahook_domain::DeliveryRecord`] derives from the set of attempts.
//!
//! How a write travels:
//!
//! 1. `document` turns each result into the record of that result alone.
//! 2. A first attempt is *inserted*: nearly every delivery succeeds at once, and
//!    an insert costs the server a ninth of an update.
//! 3. Whatever has a record already is *merged* by an `update` whose aggregation
//!    pipeline (`merge`) is constant; the values travel as constants beside it.
//! 4. `verdict` reads the server's answer, statement by statement, and `write`
//!    sends again what the answer asks for.

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
pub use log::{DeliveryLog, LogUnavailable, WriteReport};
pub use survey::{Survey, Surveyed};
