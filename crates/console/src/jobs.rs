//! Jobs that run in the background, as the API shows and starts them.

use serde::Serialize;
use tokio::sync::Notify;
use utoipa::ToSchema;
use uuid::Uuid;
use wahook_delivery_log::LogUnavailable;
use wahook_domain::UnixMillis;
use wahook_operator_state::{ClaimedJob, EndState, Job, NewJob, Progress, SharedJobStore};
use wahook_runtime::clock;

use crate::{audit::Operator, failure::Failure};

/// Jobs in the store, which survive a restart.
pub(crate) struct Jobs {
    store: SharedJobStore,
    added: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = JobKind)]
pub(crate) enum Kind {
    Redelivery,
    Redrive,
    Discard,
    #[serde(rename = "give-up")]
    GiveUp,
}

impl Kind {
    /// Returns the name of the action in records, and of the job in the store.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Redelivery => "redelivery",
            Self::Redrive => "redrive",
            Self::Discard => "discard",
            Self::GiveUp => "give-up",
        }
    }

    /// Parses a name in the store.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let all = [Self::Redelivery, Self::Redrive, Self::Discard, Self::GiveUp];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

/// State of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = JobState)]
pub(crate) enum State {
    Running,
    Done,
    Cancelled,
    Failed,
}

/// Job as the API answers it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Job)]
pub(crate) struct JobShape {
    /// Id of the job
    job: String,
    kind: Kind,
    state: State,
    /// Number of deliveries at the start
    count: u64,
    done: u64,
    failed: u64,
    created_at: String,
    ended_at: Option<String>,
    error: Option<String>,
}

/// Job that an operator starts.
pub(crate) struct Start {
    pub(crate) kind: Kind,
    pub(crate) count: u64,
    /// Order, in the form of the kind.
    pub(crate) order: String,
    pub(crate) items: Vec<String>,
}

impl Jobs {
    pub(crate) fn new(store: SharedJobStore) -> Self {
        let added = Notify::new();
        Self { store, added }
    }

    pub(crate) fn store(&self) -> &SharedJobStore {
        &self.store
    }

    /// Adds a job, durably, and returns its id.
    pub(crate) async fn start(&self, start: Start, by: &Operator) -> Result<String, Failure> {
        let id = Uuid::now_v7().to_string();
        let job = Job {
            id: id.clone(),
            kind: start.kind.name().to_owned(),
            who: by.0.clone(),
            count: start.count,
            created_at: clock::now(),
            progress: Progress::default(),
            is_cancelled: false,
            end: None,
        };
        let (order, items) = (start.order, start.items);
        let added = self.store.add(&NewJob { job, order, items }).await;
        if !added.map_err(|error| Failure::log(&error))? {
            return Err(Failure::busy("wait for jobs to end, or cancel them"));
        }
        self.added.notify_one();
        Ok(id)
    }

    /// Waits until this console has added a job.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    /// Claims the next job.
    pub(crate) async fn claim(&self, claim: &str) -> Result<Option<ClaimedJob>, LogUnavailable> {
        self.store.claim(claim).await
    }

    /// Returns all jobs, the newest first.
    pub(crate) async fn all(&self) -> Result<Vec<JobShape>, Failure> {
        let jobs = self.store.jobs().await;
        let jobs = jobs.map_err(|error| Failure::log(&error))?;
        Ok(jobs.into_iter().filter_map(JobShape::of).collect())
    }

    pub(crate) async fn find(&self, id: &str) -> Result<Option<JobShape>, Failure> {
        let job = self.store.job(id).await;
        let job = job.map_err(|error| Failure::log(&error))?;
        Ok(job.and_then(JobShape::of))
    }

    /// Requests an early end.
    pub(crate) async fn cancel(&self, id: &str) -> Result<Option<JobShape>, Failure> {
        let job = self.store.cancel(id).await;
        let job = job.map_err(|error| Failure::log(&error))?;
        Ok(job.and_then(JobShape::of))
    }
}

impl JobShape {
    /// Returns the shape of a job; `None` for a kind of another version.
    fn of(job: Job) -> Option<Self> {
        let state = match job.end.as_ref().map(|end| end.state) {
            None => State::Running,
            Some(EndState::Done) => State::Done,
            Some(EndState::Cancelled) => State::Cancelled,
            Some(EndState::Failed) => State::Failed,
        };
        let ended_at = job.end.as_ref().map(|end| end.at);
        Some(Self {
            kind: Kind::parse(&job.kind)?,
            job: job.id,
            state,
            count: job.count,
            done: job.progress.done,
            failed: job.progress.failed,
            created_at: job.created_at.to_iso8601(),
            ended_at: ended_at.map(UnixMillis::to_iso8601),
            error: job.end.and_then(|end| end.error),
        })
    }

    pub(crate) fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// Returns the number of deliveries that the job has not reached.
    pub(crate) const fn left(&self) -> u64 {
        let reached = self.done.saturating_add(self.failed);
        self.count.saturating_sub(reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_operator_state::JobEnd;

    #[test]
    fn shape_has_the_state_and_the_number_of_what_is_left() {
        let mut job = Job {
            id: "j1".to_owned(),
            kind: "redrive".to_owned(),
            who: "ann".to_owned(),
            count: 5,
            created_at: UnixMillis::new(0),
            progress: Progress {
                done: 1,
                failed: 1,
                notes: String::new(),
            },
            is_cancelled: true,
            end: None,
        };
        let shape = JobShape::of(job.clone()).unwrap();
        assert_eq!((shape.state, shape.left()), (State::Running, 3));
        job.end = Some(JobEnd {
            at: UnixMillis::new(1_000),
            state: EndState::Failed,
            error: Some("no connection".to_owned()),
        });
        let shape = JobShape::of(job.clone()).unwrap();
        assert_eq!(shape.state, State::Failed);
        assert_eq!(shape.ended_at.as_deref(), Some("1970-01-01T00:00:01.000Z"));
        job.kind = "other".to_owned();
        assert!(JobShape::of(job).is_none());
    }
}
