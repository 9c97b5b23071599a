//! Interface of the readers of a delivery log.

use std::{collections::BTreeSet, pin::Pin, time::Duration};

use wahook_domain::{EndpointName, EventId, UnixMillis};

use crate::{CountBy, Counts, Ended, EndedFilter, FollowError, LogFuture, Surveyed};

/// Future of a method that follows deliveries.
pub type FollowFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, FollowError>> + Send + 'a>>;

/// Read access for commands, implemented for MongoDB and for the file of the embedded store.
pub trait LogReader: Send + Sync {
    /// Follows the deliveries that end from now on, or that ended at or after `since`.
    fn follow<'a>(
        &'a self,
        since: Option<UnixMillis>,
        filter: &'a EndedFilter,
    ) -> FollowFuture<'a, Box<dyn EndedStream>>;

    /// Counts the deliveries of events accepted at or after `since` and before `until`.
    fn count(
        &self,
        since: UnixMillis,
        until: UnixMillis,
        by: CountBy,
    ) -> LogFuture<'_, Vec<Counts>>;

    /// Reads the records of events accepted at or after `since` and before `until`.
    fn survey(&self, since: UnixMillis, until: UnixMillis) -> LogFuture<'_, Box<dyn SurveyCursor>>;

    /// Reads the records of these events, for all endpoints, in no particular order.
    fn survey_of<'a>(&'a self, ids: &'a [EventId]) -> LogFuture<'a, Vec<Surveyed>>;

    /// Returns the endpoints of the 1,000 newest records.
    fn recent_endpoints(&self) -> LogFuture<'_, BTreeSet<EndpointName>>;

    /// Returns the retention of records, counted from the acceptance of their event;
    /// `None` if they are kept indefinitely.
    fn lifetime(&self) -> LogFuture<'_, Option<Duration>>;
}

/// Stream of ended deliveries, in the order in which the log recorded them.
pub trait EndedStream: Send {
    /// Waits for the next delivery. After [`FollowError::Log`] the next call continues
    /// from the same position.
    fn next(&mut self) -> FollowFuture<'_, Ended>;
}

/// Cursor over records, in no particular order.
pub trait SurveyCursor: Send {
    /// Returns the next record, `None` after the last. Fails if the log is unavailable, or
    /// a delivery record is unreadable.
    fn next(&mut self) -> LogFuture<'_, Option<Surveyed>>;
}
