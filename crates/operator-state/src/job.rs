//! Jobs of operators, as the store keeps them.

use std::time::Duration;

use wahook_domain::UnixMillis;

/// Jobs that have not ended, at most.
pub const MOST_RUNNING_JOBS: u32 = 20;

/// Ended jobs that are kept, the newest.
pub const MOST_ENDED_JOBS: u32 = 100;

/// Items that the store returns at a time.
pub const ITEMS_AT_ONCE: usize = 1_000;

/// Time without a report after which another program may claim a job. Longer than a report and
/// an action in flight may take together.
pub const JOB_LEASE: Duration = Duration::from_secs(20);

/// Work on many objects that continues after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub id: String,
    /// Kind of job, such as `redelivery`.
    pub kind: String,
    /// Operator who started the job.
    pub who: String,
    /// Number of objects at the start.
    pub count: u64,
    pub created_at: UnixMillis,
    pub progress: Progress,
    /// An operator has requested an early end.
    pub is_cancelled: bool,
    /// End of the job; `None` if it has not ended.
    pub end: Option<JobEnd>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub failed: u64,
    /// Further state, in a form of the kind of job.
    pub notes: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnd {
    pub at: UnixMillis,
    pub state: EndState,
    pub error: Option<String>,
}

/// State of a job that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndState {
    Done,
    Cancelled,
    Failed,
}

impl EndState {
    /// Returns the name that the store has.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Parses a name that the store has.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Done, Self::Cancelled, Self::Failed];
        all.into_iter().find(|state| state.name() == name)
    }
}

/// Job that is added to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    pub job: Job,
    /// Order, in a form of the kind of job.
    pub order: String,
    /// Objects of the job, in the order of the work. They are removed at its end.
    pub items: Vec<String>,
}

/// Job that a program has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    pub job: Job,
    pub order: String,
    /// Another claim has started the job.
    pub is_resumed: bool,
}

/// Report of a program on a job that it has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobReport {
    pub job: String,
    /// Name of the claim.
    pub claim: String,
    pub progress: Progress,
    pub next: Next,
}

/// Sequel of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Continue the job.
    Continue,
    /// Leave the job to the next claim.
    Release,
    End(JobEnd),
}

/// Answer to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The claim is valid for another [`JOB_LEASE`].
    Held,
    /// The claim is valid, and the job must end.
    Cancelled,
    /// Another program has claimed the job, or it has ended. The report was not stored.
    Lost,
}
