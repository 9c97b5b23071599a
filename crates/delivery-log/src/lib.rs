//! Delivery log: one record per event and endpoint. This crate contains the interfaces and
//! their types; other crates implement them for MongoDB and for the embedded store.
//!
//! [`DeliveryLog`] writes. Writes are idempotent and commutative: the same results in any
//! order, any number of times, produce the same record, which is the one that
//! [`wahook_domain::DeliveryRecord`] derives from the set of attempts.
//!
//! [`LogReader`] reads for the commands `tail`, `stats` and `reconcile`, [`DeliverySearch`] for
//! the console.

mod counts;
mod ended;
mod erasure;
mod key;
mod log;
mod reader;
mod search;
mod summary;
mod survey;

pub use counts::{CountBy, Counts};
pub use ended::{Ended, EndedFilter, FollowError};
pub use erasure::{ChatRecords, Chats, Devices, LogEraser};
pub use key::{parse_record_key, record_key};
pub use log::{DeliveryLog, LogFuture, LogUnavailable, SharedLog, WriteReport};
pub use reader::{EndedStream, FollowFuture, LogReader, SurveyCursor};
pub use search::{
    Cursor, DeliverySearch, FoundDelivery, InvalidCursor, LoggedDelivery, Page, SEARCH_LIMIT,
    SearchFilter,
};
pub use summary::{HOUR_MS, Outcomes, RecentEndpoint, Summary, Tally};
pub use survey::Surveyed;
