//! Interface of the store of jobs.

use std::sync::Arc;

use wahook_delivery_log::LogFuture;

use crate::{ClaimedJob, Hold, Job, JobReport, NewJob};

/// Store that all its users share.
pub type SharedJobStore = Arc<dyn JobStore>;

/// Store of jobs in the database of the delivery log, implemented for MongoDB and for the data
/// file. Writes are durable before they return.
pub trait JobStore: JobWork {
    /// Adds a job with its items, and removes the oldest ended jobs. Returns false if
    /// [`MOST_RUNNING_JOBS`](crate::MOST_RUNNING_JOBS) have not ended.
    fn add<'a>(&'a self, new: &'a NewJob) -> LogFuture<'a, bool>;

    /// Returns all jobs, newest first.
    fn jobs(&self) -> LogFuture<'_, Vec<Job>>;

    fn job<'a>(&'a self, id: &'a str) -> LogFuture<'a, Option<Job>>;

    /// Requests an early end of a job. Returns the job; unchanged if it has ended.
    fn cancel<'a>(&'a self, id: &'a str) -> LogFuture<'a, Option<Job>>;
}

/// Work on the jobs of a store, by one program at a time.
pub trait JobWork: Send + Sync + 'static {
    /// Claims the oldest job that has not ended and that no other program works on. `claim`
    /// names this claim only.
    fn claim<'a>(&'a self, claim: &'a str) -> LogFuture<'a, Option<ClaimedJob>>;

    /// Returns items of a job from a position on, at least one unless there are no more.
    fn items<'a>(&'a self, id: &'a str, position: u64) -> LogFuture<'a, Vec<String>>;

    /// Stores the progress of a job, and renews its claim or ends it.
    fn report<'a>(&'a self, report: &'a JobReport) -> LogFuture<'a, Hold>;
}
