//! Ending dead letters: back to their endpoints, or for good.
//!
//! A letter is ended only after the broker has confirmed its event in the work
//! queue. Whoever is interrupted in between leaves both, with one id: a
//! duplicate, never a loss.

use anyhow::{Context, bail};
use std::{
    fmt,
    io::{Write, stdout},
    num::NonZeroU32,
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval, timeout},
};
use wahook_queue::{
    Broker, DeadLetter, DeadLetters, Outgoing, PublishError, Publisher, PublisherTask, Receipt,
    Topology,
};
use wahook_runtime::{Shutdown, clock};

use super::{Which, progress};

/// Letters on their way at once.
const WINDOW: usize = 64;
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Sends the chosen letters back to their work queues, at most `rate` a second.
pub(super) async fn redrive(
    letters: &mut DeadLetters,
    which: Which,
    dry_run: bool,
    broker: Broker,
    rate: Option<NonZeroU32>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    if dry_run {
        return end_all(letters, which, End::TryRedrive, None, shutdown).await;
    }
    let (publisher, task) = connect(broker).await?;
    let ended = end_all(letters, which, End::Redrive(publisher), rate, shutdown).await;
    task.close(CLOSE_LIMIT).await;
    ended
}

/// Removes the chosen letters for good.
pub(super) async fn discard(
    letters: &mut DeadLetters,
    which: Which,
    dry_run: bool,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let end = if dry_run { End::Keep } else { End::Discard };
    end_all(letters, which, end, None, shutdown).await
}

/// What is done with a chosen letter.
#[derive(Clone)]
enum End {
    Redrive(Publisher),
    /// Only whether it could be redriven is found out.
    TryRedrive,
    Discard,
    Keep,
}

/// Goes through the letters and ends those that are chosen.
async fn end_all(
    letters: &mut DeadLetters,
    which: Which,
    end: End,
    rate: Option<NonZeroU32>,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let mut report = Report::of(&end);
    let worked = work(letters, which, end, rate, shutdown, &mut report).await;
    writeln!(stdout(), "{report}")?;
    worked?;
    if report.failed() > 0 {
        let verb = report.verb;
        bail!("some letters could not be {verb}; they are still in wahook.dead");
    }
    Ok(())
}

async fn connect(broker: Broker) -> anyhow::Result<(Publisher, PublisherTask)> {
    let name = "wahook-consumer dead redrive";
    let (publisher, task) = Publisher::start(broker, name, Topology::default(), CONFIRM_LIMIT);
    let mut link = publisher.link();
    let up = timeout(CONNECT_LIMIT, link.wait_for(|link| link.up)).await;
    match up {
        Ok(Ok(_)) => {}
        _ => bail!("the broker took no connection for publishing"),
    }
    Ok((publisher, task))
}

async fn work(
    letters: &mut DeadLetters,
    which: Which,
    end: End,
    rate: Option<NonZeroU32>,
    shutdown: &Shutdown,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (filter, limit) = which.into_parts();
    let bar = progress(letters.left());
    let mut pace = rate.map(pace);
    let mut on_their_way = JoinSet::new();
    let mut chosen = 0;
    let looked = loop {
        if limit.is_some_and(|limit| chosen >= limit) || shutdown.is_soft() {
            break Ok(());
        }
        let (letter, receipt) = match letters.next().await {
            Ok(Some(next)) => next,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        bar.inc(1);
        report.looked_at += 1;
        if !filter.takes(&letter) {
            continue;
        }
        chosen += 1;
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        if on_their_way.len() >= WINDOW
            && let Some(ended) = on_their_way.join_next().await
        {
            report.note(ended.context("a letter's task")?);
        }
        on_their_way.spawn(end.clone().of(letter, receipt));
    };
    while let Some(ended) = on_their_way.join_next().await {
        report.note(ended.context("a letter's task")?);
    }
    bar.finish_and_clear();
    report.interrupted = shutdown.is_soft();
    looked.context("what is not redriven or discarded is still in wahook.dead; repeat the command")
}

fn pace(rate: NonZeroU32) -> Interval {
    let mut pace = interval(Duration::from_secs(1) / rate.get());
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// What became of a chosen letter.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Done,
    Undecodable,
    NoEndpoint,
    NotPublished(PublishError),
    /// It is done, but the letter stays as well.
    NotRemoved,
}

impl End {
    async fn of(self, letter: DeadLetter, receipt: Receipt) -> Ended {
        let publisher = match self {
            Self::Keep => return Ended::Done,
            Self::Discard => return removed(receipt).await,
            Self::TryRedrive => None,
            Self::Redrive(publisher) => Some(publisher),
        };
        let Ok(event) = letter.content else {
            return Ended::Undecodable;
        };
        let Some(endpoint) = letter.endpoint else {
            return Ended::NoEndpoint;
        };
        let Some(publisher) = publisher else {
            return Ended::Done;
        };
        let redriven = Outgoing::redrive(&event, &endpoint, clock::now());
        match publisher.publish(redriven).await {
            Ok(()) => removed(receipt).await,
            Err(error) => Ended::NotPublished(error),
        }
    }
}

async fn removed(receipt: Receipt) -> Ended {
    match receipt.ack().await {
        Ok(()) => Ended::Done,
        Err(_) => Ended::NotRemoved,
    }
}

/// What was done, in one sentence for people.
#[derive(Debug, Default)]
struct Report {
    verb: &'static str,
    /// Nothing was done.
    dry_run: bool,
    /// What it means that a letter could not be removed.
    still_here: &'static str,
    looked_at: u32,
    done: u32,
    undecodable: u32,
    no_endpoint: u32,
    no_queue: u32,
    not_published: u32,
    not_removed: u32,
    interrupted: bool,
}

impl Report {
    fn of(end: &End) -> Self {
        let (verb, still_here) = match end {
            End::Redrive(_) | End::TryRedrive => (
                "redriven",
                "redriven but still here: the connection was lost in between",
            ),
            End::Discard | End::Keep => ("discarded", "kept: the connection was lost"),
        };
        Self {
            verb,
            dry_run: matches!(end, End::TryRedrive | End::Keep),
            still_here,
            ..Self::default()
        }
    }

    fn note(&mut self, ended: Ended) {
        match ended {
            Ended::Done => self.done += 1,
            Ended::Undecodable => self.undecodable += 1,
            Ended::NoEndpoint => self.no_endpoint += 1,
            Ended::NotPublished(PublishError::Unroutable) => self.no_queue += 1,
            Ended::NotPublished(_) => self.not_published += 1,
            Ended::NotRemoved => self.not_removed += 1,
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
            self.done, self.looked_at, self.verb
        )?;
        for (count, what) in [
            (self.undecodable, "undecodable, kept"),
            (self.no_endpoint, "of an unknown endpoint, kept"),
            (
                self.no_queue,
                "of an endpoint that has no queue (start what delivers to it once), kept",
            ),
            (self.not_published, "not confirmed by the broker, kept"),
            (self.not_removed, self.still_here),
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
    fn what_could_not_be_removed_is_told_in_the_words_of_the_command() {
        for (end, verb) in [(End::TryRedrive, "redriven"), (End::Discard, "discarded")] {
            let mut report = Report::of(&end);
            report.looked_at = 2;
            report.note(Ended::Done);
            report.note(Ended::NotRemoved);
            let told = report.to_string();
            assert!(told.contains(verb), "{told}");
            assert_eq!(told.contains("redriven"), verb == "redriven", "{told}");
            assert!(told.contains("; 1 "), "{told}");
            assert_eq!(report.failed(), 1);
        }
    }
}
