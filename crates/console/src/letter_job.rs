//! Job that redrives or removes dead letters.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::Context;
use wahook_admin::dead::{
    Report,
    earlier::EarlierRedrives,
    sweep::{Action, Sweep},
};
use wahook_domain::UnixMillis;
use wahook_operator_state::Progress;
use wahook_queue::{DeadLetter, DeadLetters, Publisher};

use crate::{
    claimed::Claimed,
    earlier_claims::EarlierClaims,
    letter::Letter,
    letter_filter::LetterFilter,
    log::Log,
    queues::{NAME, Queues},
};

/// Way of dead letters.
#[derive(Clone)]
pub(crate) struct LetterWork {
    pub(crate) log: Log,
    pub(crate) queues: Arc<Queues>,
    pub(crate) publisher: Publisher,
}

impl LetterWork {
    pub(crate) async fn redrive(&self, claimed: &Claimed) -> anyhow::Result<()> {
        let earlier = EarlierClaims::of(claimed, &self.log, self.queues.stored());
        let redrive = Action::Redrive {
            publisher: self.publisher.clone(),
            to: None,
            earlier: earlier.map(|earlier| -> Arc<dyn EarlierRedrives> { earlier }),
        };
        self.sweep(redrive, claimed).await
    }

    pub(crate) async fn discard(&self, claimed: &Claimed) -> anyhow::Result<()> {
        self.sweep(Action::Discard, claimed).await
    }

    /// Applies the action to at most as many dead letters as the operator has confirmed. What
    /// an earlier claim has done is no longer in the queue, except for redriven ones that it
    /// could not remove.
    async fn sweep(&self, action: Action, claimed: &Claimed) -> anyhow::Result<()> {
        let filter = filter(claimed).await?;
        let _lock = loop {
            if claimed.is_stopped() {
                return Ok(());
            }
            // A list or another job may hold the lock for longer than one wait.
            if let Ok(lock) = self.queues.lock_dead_letters().await {
                break lock;
            }
        };
        let mut letters = DeadLetters::open(self.queues.broker(), NAME).await?;
        let mut report = action.report();
        let (job, done_before) = (&claimed.job, claimed.job.progress.done);
        let left = job.count.saturating_sub(done_before);
        let progress = |report: &Report| Progress {
            done: done_before.saturating_add(report.done.into()),
            failed: report.failed().into(),
            notes: String::new(),
        };
        let sweep = Sweep {
            action,
            limit: Some(left.try_into().unwrap_or(u32::MAX)),
            rate: None,
            selects: &|letter| selects(&filter, letter, job.created_at),
            is_stopped: &|| claimed.is_stopped(),
            on_progress: &|report| claimed.set_progress(progress(report)),
        };
        let swept = sweep.run(&mut letters, &mut report).await;
        letters.close().await;
        if claimed.is_left() {
            // The next claim finds those that failed, such as by the end of the program.
            let failed = 0;
            claimed.set_progress(Progress {
                failed,
                ..progress(&report)
            });
            return Ok(());
        }
        swept?;
        anyhow::ensure!(report.failed() == 0, "{report}");
        Ok(())
    }
}

/// Returns the filter of a job, with all its ids.
async fn filter(claimed: &Claimed) -> anyhow::Result<LetterFilter> {
    let filter: LetterFilter = serde_json::from_str(&claimed.order).context("order of the job")?;
    let mut ids = BTreeSet::new();
    let mut position = 0;
    loop {
        let items = claimed.items(position).await?;
        if items.is_empty() {
            return Ok(filter.with_ids(ids));
        }
        position = position.saturating_add(items.len().try_into()?);
        ids.extend(items);
    }
}

/// Returns true for a letter that the operator has confirmed, at `since`.
fn selects(filter: &LetterFilter, letter: &DeadLetter, since: UnixMillis) -> bool {
    filter.matches(&Letter::of(letter))
        && !is_redriven_since(letter, since)
        && (filter.is_of_ids() || !is_dead_since(letter, since))
}

/// Returns true if the letter died again after a redrive that began at or after `since`.
fn is_redriven_since(letter: &DeadLetter, since: UnixMillis) -> bool {
    let redriven_at = letter.content.as_ref().ok();
    let redriven_at = redriven_at.and_then(|event| event.redriven_at);
    redriven_at.is_some_and(|at| at >= since)
}

/// Returns true if the letter died after the operator had confirmed the job: a filter would
/// select it in place of one that another program has at the moment.
fn is_dead_since(letter: &DeadLetter, since: UnixMillis) -> bool {
    letter.died_at.is_some_and(|at| at > since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_queue::Poison;

    #[test]
    fn a_filter_selects_no_letters_that_died_after_it_was_confirmed() {
        let letter = |died_at: Option<i64>| DeadLetter {
            id: Some("e1".to_owned()),
            event: None,
            endpoint: None,
            reason: "answered 500".to_owned(),
            died_at: died_at.map(UnixMillis::new),
            is_outage: None,
            moved_by_broker: false,
            content: Err(Poison::Missing("type")),
            payload: "".into(),
        };
        let is_selected = |filter: &LetterFilter, died_at| {
            selects(filter, &letter(died_at), UnixMillis::new(1_000))
        };
        let all = LetterFilter::default();
        assert!(is_selected(&all, Some(1_000)) && is_selected(&all, None));
        assert!(!is_selected(&all, Some(1_001)));
        let listed = LetterFilter::of_ids(["e1".to_owned()].into());
        assert!(is_selected(&listed, Some(1_001)));
    }
}
