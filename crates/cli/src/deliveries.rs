//! What the commands must know of a delivery log.

use std::future::Future;
use wahook_delivery_log::{CountBy, Counts, EndedFilter, FollowError, Following, MongoLog};
use wahook_domain::UnixMillis;
use wahook_runtime::Settings;

pub use wahook_delivery_log::Ended;

/// A log that deliveries can be read from.
///
/// The seam exists because a log may be MongoDB or a file, and neither command
/// has to know.
pub trait Deliveries {
    /// Deliveries as they end.
    type Following: Follow;

    /// Follows those that end from now on, or have ended since.
    fn follow(
        &self,
        since: Option<UnixMillis>,
        filter: &EndedFilter,
    ) -> impl Future<Output = Result<Self::Following, FollowError>>;

    /// Counts those whose event was accepted at `since` or later, and before
    /// `until`.
    fn count(
        &self,
        since: UnixMillis,
        until: UnixMillis,
        by: CountBy,
    ) -> impl Future<Output = anyhow::Result<Vec<Counts>>>;
}

/// The log of a program that keeps one itself, which is meant where no `MONGODB_URI` names
/// another.
pub trait OwnLog: Sized {
    /// What it is read through.
    type Deliveries: Deliveries;

    /// Reads where it is; faults are noted in `settings`.
    fn read(settings: &mut Settings) -> Self;

    /// Opens it.
    ///
    /// # Errors
    /// When there is none, or it can't be read.
    fn open(self) -> anyhow::Result<Self::Deliveries>;
}

/// Deliveries, in the order in which the log heard of their end.
pub trait Follow {
    /// Waits for the next one; after a [`FollowError::Log`] it may be asked again.
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
