//! Redrive or removal of the dead letters that a caller selects.
//!
//! A redriven dead letter is removed only after the broker has confirmed its event in
//! the work queue. An interruption in between leaves both, with one id. A sweep that
//! continues an interrupted one removes the dead letters of [`EarlierRedrives`] without
//! another redrive.

use anyhow::Context;
use std::{num::NonZeroU32, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval},
};
use wahook_domain::EndpointName;
use wahook_queue::{DeadLetter, DeadLetters, Outgoing, Publisher, Receipt};
use wahook_runtime::clock;

use super::{
    earlier::EarlierRedrives,
    report::{ActionResult, Report},
};

/// Maximum number of dead letters in flight.
const MAX_IN_FLIGHT: usize = 64;

/// Action on selected dead letters.
pub struct Sweep<'a> {
    pub action: Action,
    /// Dead letters at most.
    pub limit: Option<u32>,
    /// Dead letters per second.
    pub rate: Option<NonZeroU32>,
    /// Returns true for a selected dead letter.
    pub selects: &'a (dyn Fn(&DeadLetter) -> bool + Send + Sync),
    /// Returns true to stop early.
    pub is_stopped: &'a (dyn Fn() -> bool + Send + Sync),
    /// Called for each dead letter that was read.
    pub on_progress: &'a (dyn Fn(&Report) + Send + Sync),
}

/// Action on a selected dead letter. The dry variants only check it.
#[derive(Clone)]
pub enum Action {
    /// Publishes the event to the work queue of its endpoint, or to that of `to`.
    Redrive {
        publisher: Publisher,
        to: Option<EndpointName>,
        /// Redrives of the sweep that this one continues.
        earlier: Option<Arc<dyn EarlierRedrives>>,
    },
    /// Redrives the event as above, and counts the redrive in its message.
    AutoRedrive {
        publisher: Publisher,
    },
    DryRedrive {
        to: Option<EndpointName>,
    },
    /// Removes the dead letter.
    Discard,
    DryDiscard,
}

impl Action {
    fn removes(&self) -> bool {
        !matches!(self, Self::DryRedrive { .. } | Self::DryDiscard)
    }

    /// Returns the summary of an action that has not begun.
    #[must_use]
    pub fn report(&self) -> Report {
        let is_dry = !self.removes();
        match self {
            Self::Redrive { .. } | Self::AutoRedrive { .. } | Self::DryRedrive { .. } => {
                Report::of_redrive(is_dry)
            }
            Self::Discard | Self::DryDiscard => Report::of_discard(is_dry),
        }
    }
}

impl Sweep<'_> {
    /// Applies the action; `report` has the numbers, also after an error.
    ///
    /// # Errors
    /// If the dead letters can't be read, or may not be removed.
    pub async fn run(self, letters: &mut DeadLetters, report: &mut Report) -> anyhow::Result<()> {
        let mut pace = self.rate.map(pace);
        let mut in_flight = JoinSet::new();
        let mut selected = 0;
        // Held until the end: a letter that is returned earlier would be read again.
        let mut kept = Vec::new();
        let read = loop {
            if self.limit.is_some_and(|limit| selected >= limit) || (self.is_stopped)() {
                break Ok(());
            }
            let (letter, receipt) = match letters.next().await {
                Ok(Some(next)) => next,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            report.inspected += 1;
            (self.on_progress)(report);
            if !(self.selects)(&letter) {
                kept.push(receipt);
                continue;
            }
            selected += 1;
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            if in_flight.len() >= MAX_IN_FLIGHT
                && let Some(result) = in_flight.join_next().await
            {
                kept.extend(record(report, result.context("dead letter task")?));
            }
            in_flight.spawn(self.action.clone().apply(letter, receipt));
        };
        while let Some(result) = in_flight.join_next().await {
            kept.extend(record(report, result.context("dead letter task")?));
            (self.on_progress)(report);
        }
        report.interrupted = (self.is_stopped)();
        read.context("the remaining dead letters are still in wahook.dead; repeat the command")?;
        if self.action.removes() {
            let flushed = letters.flush().await;
            flushed.context("some of these dead letters may still be in wahook.dead")?;
        }
        Ok(())
    }
}

/// Result of an action, with the receipt of a dead letter that is kept.
struct Applied {
    result: ActionResult,
    kept: Option<Receipt>,
}

fn record(report: &mut Report, applied: Applied) -> Option<Receipt> {
    report.record(applied.result);
    applied.kept
}

/// Returns a clock that ticks `rate` times per second at most.
#[must_use]
pub fn pace(rate: NonZeroU32) -> Interval {
    let mut pace = interval(Duration::from_secs(1) / rate.get());
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

impl Action {
    async fn apply(self, letter: DeadLetter, receipt: Receipt) -> Applied {
        let kept = |result, receipt| Applied {
            result,
            kept: Some(receipt),
        };
        let is_automatic = matches!(self, Self::AutoRedrive { .. });
        let (publisher, to, earlier) = match self {
            Self::DryDiscard => return kept(ActionResult::Done, receipt),
            Self::Discard => return remove(receipt).await,
            Self::DryRedrive { to } => (None, to, None),
            Self::Redrive {
                publisher,
                to,
                earlier,
            } => (Some(publisher), to, earlier),
            Self::AutoRedrive { publisher } => (Some(publisher), None, None),
        };
        let Ok(event) = letter.content else {
            return kept(ActionResult::Undecodable, receipt);
        };
        let Some(endpoint) = to.or(letter.endpoint) else {
            return kept(ActionResult::NoEndpoint, receipt);
        };
        let Some(publisher) = publisher else {
            return kept(ActionResult::Done, receipt);
        };
        if let Some(earlier) = earlier {
            match earlier.has(&event.id, &endpoint).await {
                Ok(true) => return remove(receipt).await,
                Ok(false) => {}
                Err(error) => {
                    let (id, error) = (event.id, format!("{error:#}"));
                    tracing::warn!(%id, error, "dead letter is kept: it may be redriven already");
                    return kept(ActionResult::Unchecked, receipt);
                }
            }
        }
        let redrive = if is_automatic {
            Outgoing::auto_redrive
        } else {
            Outgoing::redrive
        };
        let redriven = redrive(&event, &endpoint, clock::now());
        match publisher.publish(redriven).await {
            Ok(()) => remove(receipt).await,
            Err(error) => kept(ActionResult::NotPublished(error), receipt),
        }
    }
}

async fn remove(receipt: Receipt) -> Applied {
    let result = match receipt.ack().await {
        Ok(()) => ActionResult::Done,
        Err(_) => ActionResult::NotRemoved,
    };
    Applied { result, kept: None }
}
