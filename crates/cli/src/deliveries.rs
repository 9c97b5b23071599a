//! Access to a delivery log.

use std::future::Future;
use wahook_delivery_log::{CountBy, Counts, EndedFilter, FollowError, Following, MongoLog};
use wahook_domain::UnixMillis;
use wahook_runtime::Settings;

pub use wahook_delivery_log::Ended;

/// Delivery log that the commands read, in MongoDB or in a file.
pub trait Deliveries {
    /// Stream of deliveries as they end.
    type Following: Follow;

    /// Follows the deliveries that end from now on, or that ended at or after `since`.
    fn follow(
        &self,
        since: Option<UnixMillis>,
        filter: &EndedFilter,
    ) -> impl Future<Output = Result<Self::Following, FollowError>>;

    /// Counts the deliveries whose event was accepted at `since` or later, and before
    /// `until`.
    fn count(
        &self,
        since: UnixMillis,
        until: UnixMillis,
        by: CountBy,
    ) -> impl Future<Output = anyhow::Result<Vec<Counts>>>;
}

/// Log that the program keeps itself, read if `MONGODB_URI` is not set.
pub trait OwnLog: Sized {
    /// Reader of the log.
    type Deliveries: Deliveries;

    /// Reads the location of the log. Returns `None` only after a fault.
    fn read(settings: &mut Settings) -> Option<Self>;

    /// Opens the log.
    ///
    /// # Errors
    /// If the log does not exist or can't be read.
    fn open(self) -> anyhow::Result<Self::Deliveries>;
}

/// Stream of deliveries, in the order in which the log recorded their end.
pub trait Follow {
    /// Waits for the next delivery. After [`FollowError::Log`] the call can be repeated.
    fn next(&mut self) -> impl Future<Output = Result<Ended, FollowError>>;
}

impl Deliveries for MongoLog {
    type Following = Following;

    async fn follow(
        &self,
        since: Option<UnixMillis>,
        filter: &EndedFilter,
    ) -> Result<Following, FollowError> {
        self.follow(since, filter).await
    }

    async fn count(
        &self,
        since: UnixMillis,
        until: UnixMillis,
        by: CountBy,
    ) -> anyhow::Result<Vec<Counts>> {
        Ok(self.count(since, until, by).await?)
    }
}

impl Follow for Following {
    async fn next(&mut self) -> Result<Ended, FollowError> {
        self.next().await
    }
}
