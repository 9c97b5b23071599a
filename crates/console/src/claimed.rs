//! Job that this console has claimed: its progress, which a task reports to the store once a
//! second, and the reasons to stop.

use std::{
    convert::Infallible,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;
use wahook_delivery_log::LogUnavailable;
use wahook_operator_state::{
    ClaimedJob, EndState, Hold, Job, JobEnd, JobReport, Next, Progress, SharedJobStore,
};
use wahook_runtime::{Shutdown, clock};

/// Time between two reports.
const REPORT_EACH: Duration = Duration::from_secs(1);

/// Job in work.
pub(crate) struct Claimed {
    pub(crate) job: Job,
    pub(crate) order: String,
    /// The job was begun by another claim, which may have done more than the store has.
    pub(crate) is_resumed: bool,
    claim: String,
    store: SharedJobStore,
    shutdown: Shutdown,
    progress: Mutex<Progress>,
    /// One report at a time, so that none replaces a later one.
    reporting: tokio::sync::Mutex<()>,
    is_cancelled: AtomicBool,
    is_lost: AtomicBool,
}

impl Claimed {
    pub(crate) fn new(
        claimed: ClaimedJob,
        claim: String,
        store: SharedJobStore,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            progress: Mutex::new(claimed.job.progress.clone()),
            reporting: tokio::sync::Mutex::default(),
            is_cancelled: AtomicBool::new(claimed.job.is_cancelled),
            is_lost: AtomicBool::new(false),
            job: claimed.job,
            order: claimed.order,
            is_resumed: claimed.is_resumed,
            claim,
            store,
            shutdown,
        }
    }

    /// Returns true if the job has to end early, or to leave the rest to another claim.
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed) || self.is_left()
    }

    pub(crate) fn set_progress(&self, progress: Progress) {
        *self.progress() = progress;
    }

    /// Returns items from a position on.
    pub(crate) async fn items(&self, position: u64) -> anyhow::Result<Vec<String>> {
        Ok(self.store.items(&self.job.id, position).await?)
    }

    /// Does the work, reports its progress, and then its end.
    pub(crate) async fn run(&self, work: impl Future<Output = anyhow::Result<()>>) {
        let result = tokio::select! {
            result = work => result,
            never = self.report_progress() => match never {},
        };
        let next = match self.end(result) {
            Some(end) => Next::End(end),
            None => Next::Release,
        };
        if self.is_lost.load(Ordering::Relaxed) {
            return;
        }
        // Without an answer the claim expires, and the next one ends the job.
        if let Err(error) = self.report(next).await {
            let job = &self.job.id;
            tracing::warn!(job, %error, "console: end of a job is not stored yet");
        }
    }

    /// Returns the end of a job; `None` if the next claim continues it.
    fn end(&self, result: anyhow::Result<()>) -> Option<JobEnd> {
        let state = match result {
            _ if self.is_cancelled.load(Ordering::Relaxed) => EndState::Cancelled,
            _ if self.is_left() && !self.is_complete() => return None,
            Err(_) => EndState::Failed,
            Ok(()) => EndState::Done,
        };
        let error = result.err().map(|error| format!("{error:#}"));
        if let Some(error) = &error {
            tracing::warn!(job = self.job.id, error, "console: job failed");
        }
        let at = clock::now();
        Some(JobEnd { at, state, error })
    }

    async fn report_progress(&self) -> Infallible {
        loop {
            sleep(REPORT_EACH).await;
            if self.is_lost.load(Ordering::Relaxed) {
                continue;
            }
            self.store_progress().await;
        }
    }

    /// Stores the progress. If that fails, the job is stopped.
    pub(crate) async fn store_progress(&self) {
        match self.report(Next::Continue).await {
            Ok(Hold::Held) => {}
            Ok(Hold::Cancelled) => self.is_cancelled.store(true, Ordering::Relaxed),
            Ok(Hold::Lost) => self.is_lost.store(true, Ordering::Relaxed),
            Err(error) => {
                let job = &self.job.id;
                tracing::warn!(job, %error, "console: job interrupted; it is resumed when the log is available");
                self.is_lost.store(true, Ordering::Relaxed);
            }
        }
    }

    async fn report(&self, next: Next) -> Result<Hold, LogUnavailable> {
        let _reporting = self.reporting.lock().await;
        let report = JobReport {
            job: self.job.id.clone(),
            claim: self.claim.clone(),
            progress: self.progress().clone(),
            next,
        };
        self.store.report(&report).await
    }

    /// Returns true if another claim continues the job.
    pub(crate) fn is_left(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed) || self.shutdown.is_soft()
    }

    fn is_complete(&self) -> bool {
        let progress = self.progress();
        progress.done.saturating_add(progress.failed) >= self.job.count
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
