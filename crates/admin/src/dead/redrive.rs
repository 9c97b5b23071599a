//! Redrive and discard of dead letters.
//!
//! A redriven dead letter is removed only after the broker has confirmed its event in
//! the work queue. An interruption in between leaves both, with one id: a duplicate,
//! never a loss.

use anyhow::{Context, bail};
use std::{
    fmt,
    io::{Write, stdout},
    num::NonZeroU32,
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval},
};
use wahook_domain::EndpointName;
use wahook_queue::{Broker, DeadLetter, DeadLetters, Outgoing, PublishError, Publisher, Receipt};
use wahook_runtime::{Shutdown, clock};

use super::{Selection, progress, redrive_options::RedriveOptions};
use crate::publishing;

/// Maximum number of dead letters in flight.
const MAX_IN_FLIGHT: usize = 64;

/// Republishes the selected dead letters to their work queues.
pub(super) async fn redrive(
    letters: &mut DeadLetters,
    selection: Selection,
    options: RedriveOptions,
    broker: Broker,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let RedriveOptions { dry_run, to, rate } = options;
    if dry_run {
        let action = Action::DryRedrive { to };
        return process_all(letters, selection, action, None, shutdown).await;
    }
    let (publisher, task) = publishing::connect(broker, "wahook-consumer dead redrive").await?;
    let action = Action::Redrive { publisher, to };
    let processed = process_all(letters, selection, action, rate, shutdown).await;
    publishing::close(task).await;
    processed
}

/// Removes the selected dead letters permanently.
pub(super) async fn discard(
    letters: &mut DeadLetters,
    selection: Selection,
    dry_run: bool,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let action = if dry_run {
        Action::DryDiscard
    } else {
        Action::Discard
    };
    process_all(letters, selection, action, None, shutdown).await
}

/// Action on a selected dead letter. The dry variants only check it.
#[derive(Clone)]
enum Action {
    Redrive {
        publisher: Publisher,
        to: Option<EndpointName>,
    },
    DryRedrive {
        to: Option<EndpointName>,
    },
    Discard,
    DryDiscard,
}

/// Applies the action to the selected dead letters and prints the report.
async fn process_all(
    letters: &mut DeadLetters,
    selection: Selection,
    action: Action,
    rate: Option<NonZeroU32>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let mut report = Report::new(&action);
    let processed = process(letters, selection, action, rate, shutdown, &mut report).await;
    writeln!(stdout(), "{report}")?;
    processed?;
    if report.failed() > 0 {
        let verb = report.verb;
        bail!("some dead letters could not be {verb}; they are still in wahook.dead");
    }
    Ok(())
}

async fn process(
    letters: &mut DeadLetters,
    selection: Selection,
    action: Action,
    rate: Option<NonZeroU32>,
    shutdown: &Shutdown,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (filter, limit) = selection.into_parts();
    let bar = progress(letters.left());
    let mut pace = rate.map(pace);
    let mut in_flight = JoinSet::new();
    let mut selected = 0;
    let read = loop {
        if limit.is_some_and(|limit| selected >= limit) || shutdown.is_soft() {
            break Ok(());
        }
        let (letter, receipt) = match letters.next().await {
            Ok(Some(next)) => next,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        bar.inc(1);
        report.inspected += 1;
        if !filter.matches(&letter) {
            continue;
        }
        selected += 1;
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        if in_flight.len() >= MAX_IN_FLIGHT
            && let Some(result) = in_flight.join_next().await
        {
            report.record(result.context("dead letter task")?);
        }
        in_flight.spawn(action.clone().apply(letter, receipt));
    };
    while let Some(result) = in_flight.join_next().await {
        report.record(result.context("dead letter task")?);
    }
    bar.finish_and_clear();
    report.interrupted = shutdown.is_soft();
    read.context("the remaining dead letters are still in wahook.dead; repeat the command")
}

fn pace(rate: NonZeroU32) -> Interval {
    let mut pace = interval(Duration::from_secs(1) / rate.get());
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// Result of an action on one dead letter.
#[derive(Debug, PartialEq, Eq)]
enum ActionResult {
    Done,
    Undecodable,
    NoEndpoint,
    NotPublished(PublishError),
    /// The dead letter could not be removed. A redriven event is published already.
    NotRemoved,
}

impl Action {
    async fn apply(self, letter: DeadLetter, receipt: Receipt) -> ActionResult {
        let (publisher, to) = match self {
            Self::DryDiscard => return ActionResult::Done,
            Self::Discard => return remove(receipt).await,
            Self::DryRedrive { to } => (None, to),
            Self::Redrive { publisher, to } => (Some(publisher), to),
        };
        let Ok(event) = letter.content else {
            return ActionResult::Undecodable;
        };
        let Some(endpoint) = to.or(letter.endpoint) else {
            return ActionResult::NoEndpoint;
        };
        let Some(publisher) = publisher else {
            return ActionResult::Done;
        };
        let redriven = Outgoing::redrive(&event, &endpoint, clock::now());
        match publisher.publish(redriven).await {
            Ok(()) => remove(receipt).await,
            Err(error) => ActionResult::NotPublished(error),
        }
    }
}

async fn remove(receipt: Receipt) -> ActionResult {
    match receipt.ack().await {
        Ok(()) => ActionResult::Done,
        Err(_) => ActionResult::NotRemoved,
    }
}

/// Summary of a command, printed as one sentence.
#[derive(Debug, Default)]
struct Report {
    verb: &'static str,
    dry_run: bool,
    /// Text for dead letters that could not be removed.
    not_removed_text: &'static str,
    inspected: u32,
    done: u32,
    undecodable: u32,
    no_endpoint: u32,
    no_queue: u32,
    not_published: u32,
    not_removed: u32,
    interrupted: bool,
}

impl Report {
    fn new(action: &Action) -> Self {
        let (verb, not_removed_text) = match action {
            Action::Redrive { .. } | Action::DryRedrive { .. } => (
                "redriven",
                "redriven but not removed: the connection was lost",
            ),
            Action::Discard | Action::DryDiscard => ("discarded", "kept: the connection was lost"),
        };
        Self {
            verb,
            dry_run: matches!(action, Action::DryRedrive { .. } | Action::DryDiscard),
            not_removed_text,
            ..Self::default()
        }
    }

    fn record(&mut self, result: ActionResult) {
        match result {
            ActionResult::Done => self.done += 1,
            ActionResult::Undecodable => self.undecodable += 1,
            ActionResult::NoEndpoint => self.no_endpoint += 1,
            ActionResult::NotPublished(PublishError::Unroutable) => self.no_queue += 1,
            ActionResult::NotPublished(_) => self.not_published += 1,
            ActionResult::NotRemoved => self.not_removed += 1,
        }
    }

    fn failed(&self) -> u32 {
        self.undecodable + self.no_endpoint + self.no_queue + self.not_published + self.not_removed
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let would_be = if self.dry_run { "would be " } else { "" };
        write!(
            f,
            "{} of {} dead letters {would_be}{}",
            self.done, self.inspected, self.verb
        )?;
        for (count, what) in [
            (self.undecodable, "undecodable, kept"),
            (self.no_endpoint, "of an unknown endpoint, kept"),
            (
                self.no_queue,
                "of an endpoint that has no queue (its consumer creates it at start), kept",
            ),
            (self.not_published, "not confirmed by the broker, kept"),
            (self.not_removed, self.not_removed_text),
        ] {
            if count > 0 {
                write!(f, "; {count} {what}")?;
            }
        }
        if self.interrupted {
            f.write_str("; interrupted, the rest is kept")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_removal_is_reported_with_the_verb_of_the_command() {
        for (action, verb) in [
            (Action::DryRedrive { to: None }, "redriven"),
            (Action::Discard, "discarded"),
        ] {
            let mut report = Report::new(&action);
            report.inspected = 2;
            report.record(ActionResult::Done);
            report.record(ActionResult::NotRemoved);
            let text = report.to_string();
            assert!(text.contains(verb), "{text}");
            assert_eq!(text.contains("redriven"), verb == "redriven", "{text}");
            assert!(text.contains("; 1 "), "{text}");
            assert_eq!(report.failed(), 1);
        }
    }
}
