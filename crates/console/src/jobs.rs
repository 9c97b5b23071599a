//! Jobs that run in the background, in memory: the latest ones, with their progress.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use wahook_domain::UnixMillis;
use wahook_runtime::{Shutdown, clock};

/// Jobs that are kept. The oldest that ended is dropped.
const MOST_JOBS: usize = 100;

/// All jobs since the start, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<VecDeque<Arc<Job>>>);

/// Work on many deliveries.
#[derive(Debug)]
pub(crate) struct Job {
    id: String,
    kind: Kind,
    count: u64,
    created_at: UnixMillis,
    is_cancelled: AtomicBool,
    progress: Mutex<Progress>,
}

/// Kind of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = JobKind)]
pub(crate) enum Kind {
    Redelivery,
    Redrive,
    Discard,
}

impl Kind {
    /// Returns the name of the action in records.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Redelivery => "redelivery",
            Self::Redrive => "redrive",
            Self::Discard => "discard",
        }
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

#[derive(Debug, Clone)]
struct Progress {
    state: State,
    done: u64,
    failed: u64,
    ended_at: Option<UnixMillis>,
    error: Option<String>,
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

impl Jobs {
    /// Adds a job; `None` if too many run.
    pub(crate) fn start(&self, kind: Kind, count: u64) -> Option<Arc<Job>> {
        let mut jobs = self.lock();
        if jobs.len() >= MOST_JOBS {
            let ended = jobs.iter().position(|job| !job.is_running())?;
            jobs.remove(ended);
        }
        let job = Arc::new(Job {
            id: Uuid::now_v7().to_string(),
            kind,
            count,
            created_at: clock::now(),
            is_cancelled: AtomicBool::new(false),
            progress: Mutex::new(Progress {
                state: State::Running,
                done: 0,
                failed: 0,
                ended_at: None,
                error: None,
            }),
        });
        jobs.push_back(Arc::clone(&job));
        Some(job)
    }

    /// Returns all jobs, the newest first.
    pub(crate) fn all(&self) -> Vec<Arc<Job>> {
        self.lock().iter().rev().cloned().collect()
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Job>> {
        self.lock().iter().find(|job| job.id == id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Job>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Job {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Requests an early end.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Returns true if the job has to end early.
    pub(crate) fn is_stopped(&self, shutdown: &Shutdown) -> bool {
        self.is_cancelled.load(Ordering::Relaxed) || shutdown.is_soft()
    }

    pub(crate) fn set_progress(&self, done: u64, failed: u64) {
        let mut progress = self.progress();
        progress.done = done;
        progress.failed = failed;
    }

    /// Ends the job: cancelled, failed with an error, or done.
    pub(crate) fn end(&self, result: anyhow::Result<()>) {
        let error = result.err().map(|error| format!("{error:#}"));
        if let Some(error) = &error {
            tracing::warn!(job = self.id, error, "console: job failed");
        }
        let mut progress = self.progress();
        progress.state = match error {
            _ if self.is_cancelled.load(Ordering::Relaxed) => State::Cancelled,
            Some(_) => State::Failed,
            None => State::Done,
        };
        progress.error = error;
        progress.ended_at = Some(clock::now());
    }

    /// Returns the job as the API answers it.
    pub(crate) fn shape(&self) -> JobShape {
        let progress = self.progress().clone();
        JobShape {
            job: self.id.clone(),
            kind: self.kind,
            state: progress.state,
            count: self.count,
            done: progress.done,
            failed: progress.failed,
            created_at: self.created_at.to_iso8601(),
            ended_at: progress.ended_at.map(UnixMillis::to_iso8601),
            error: progress.error,
        }
    }

    fn is_running(&self) -> bool {
        self.progress().state == State::Running
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_job_that_ended_makes_room_and_a_running_one_never_does() {
        let jobs = Jobs::default();
        for _ in 0..MOST_JOBS {
            jobs.start(Kind::Discard, 1).unwrap();
        }
        assert!(jobs.start(Kind::Discard, 1).is_none());
        let ended = jobs.all().pop().unwrap();
        ended.end(Ok(()));
        assert!(jobs.start(Kind::Redrive, 1).is_some());
        assert!(jobs.find(ended.id()).is_none());
        assert_eq!(jobs.all().len(), MOST_JOBS);
    }

    #[test]
    fn end_is_cancelled_only_after_a_request() {
        let jobs = Jobs::default();
        let job = jobs.start(Kind::Redrive, 2).unwrap();
        job.set_progress(1, 0);
        job.cancel();
        job.end(Ok(()));
        let shape = job.shape();
        assert_eq!((shape.state, shape.done), (State::Cancelled, 1));
        let failed = jobs.start(Kind::Redrive, 2).unwrap();
        failed.end(Err(anyhow::anyhow!("no connection")));
        assert_eq!(failed.shape().state, State::Failed);
    }
}
