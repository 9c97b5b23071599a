//! Task that claims jobs and works on them.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::sleep};
use uuid::Uuid;
use wahook_operator_state::ClaimedJob;
use wahook_runtime::Shutdown;

use crate::{
    claimed::Claimed,
    give_ups::GiveUps,
    jobs::{Jobs, Kind},
    letter_job::LetterWork,
    redelivery_job::Resender,
};

/// Time between two searches for jobs, such as those of a console that was killed.
const SEARCH_EACH: Duration = Duration::from_secs(5);
/// Jobs at the same time; further ones wait.
const MOST_AT_ONCE: usize = 8;

/// Runner of the jobs of a store, of which this console takes those that no other works on.
#[derive(Clone)]
pub(crate) struct JobRunner {
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) resender: Resender,
    pub(crate) letters: LetterWork,
    pub(crate) give_ups: GiveUps,
    pub(crate) shutdown: Shutdown,
}

impl JobRunner {
    /// Runs jobs until the shutdown. Those in work then are continued by the next console.
    /// Without a connection to the broker a job would fail at once, so it waits for one.
    pub(crate) async fn run(self) {
        let (mut running, mut is_unavailable) = (JoinSet::new(), false);
        let mut link = self.resender.publisher.link();
        while !self.shutdown.is_soft() {
            let is_connected = link.borrow_and_update().up;
            if is_connected && running.len() < MOST_AT_ONCE {
                let claim = Uuid::new_v4().to_string();
                let claimed = self.jobs.claim(&claim).await;
                if let Err(error) = &claimed
                    && !is_unavailable
                {
                    tracing::warn!(%error, "console: jobs are not run until the log is available");
                }
                is_unavailable = claimed.is_err();
                if let Ok(Some(claimed)) = claimed {
                    running.spawn(self.clone().work(claimed, claim));
                    continue;
                }
            }
            tokio::select! {
                () = self.shutdown.soft() => {}
                () = self.jobs.added(), if running.len() < MOST_AT_ONCE => {}
                Ok(()) = link.changed() => {}
                Some(_) = running.join_next() => {}
                () = sleep(SEARCH_EACH) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn work(self, claimed: ClaimedJob, claim: String) {
        if claimed.is_resumed {
            let (job, done) = (&claimed.job.id, claimed.job.progress.done);
            tracing::info!(job, done, "console: job resumed");
        }
        let store = Arc::clone(self.jobs.store());
        let claimed = Claimed::new(claimed, claim, store, self.shutdown.clone());
        let work = async {
            match Kind::parse(&claimed.job.kind) {
                Some(Kind::Redelivery) => self.resender.run(&claimed).await,
                Some(Kind::Redrive) => self.letters.redrive(&claimed).await,
                Some(Kind::Discard) => self.letters.discard(&claimed).await,
                Some(Kind::GiveUp) => self.give_ups.run(&claimed).await,
                None => anyhow::bail!("{} is no kind of job of this version", claimed.job.kind),
            }
        };
        claimed.run(work).await;
    }
}
