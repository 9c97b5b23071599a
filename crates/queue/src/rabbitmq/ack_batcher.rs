//! Batching of acks.
//!
//! The broker accepts one ack for all messages up to a tag, which costs it, and
//! lapin, as much as the ack of one message. Each subscription has its own
//! channel, whose tags count from 1, so all settled messages without a gap
//! below them share one ack. Messages settled above a gap wait for the gap to
//! close, but only for a moment: a slow delivery must not delay the acks of
//! others.

use lapin::Acker;
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::Duration,
};
use tokio::time::Instant;

use crate::settlement::Settlement;

/// Time for which a settled message may wait for those below it.
const MAX_WAIT: Duration = Duration::from_millis(20);

/// Settled message whose settlement is not written yet.
#[derive(Debug)]
pub(crate) struct SettledMessage<A = Acker> {
    /// Position among the deliveries of its channel, from 1.
    pub(crate) tag: u64,
    pub(crate) acker: A,
    pub(crate) settlement: Settlement,
}

/// Next frame to write to the broker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<A> {
    /// Acks this message, and with `and_below` all before it.
    Ack { acker: A, and_below: bool },
    /// Dead-letters this message, or requeues it without counting the delivery.
    Nack { acker: A, requeue: bool },
    /// Requeues this message and counts the delivery.
    Redeliver { acker: A },
}

/// Settled messages whose acks are not written yet. Pure: the time is a
/// parameter. A slow message costs memory for its own tag, and none for the
/// messages that overtake it.
#[derive(Debug)]
pub(super) struct AckBatcher<A> {
    /// Highest settled tag.
    highest: u64,
    /// Unsettled tags below `highest`: at most the prefetch.
    gaps: BTreeSet<u64>,
    /// Settled messages without a written ack.
    waiting: BTreeMap<u64, A>,
    /// Start of the wait of the oldest of them.
    since: Option<Instant>,
}

impl<A> Default for AckBatcher<A> {
    fn default() -> Self {
        Self {
            highest: 0,
            gaps: BTreeSet::new(),
            waiting: BTreeMap::new(),
            since: None,
        }
    }
}

impl<A> AckBatcher<A> {
    /// Adds a settled message; all but acks go into `steps` at once.
    pub(super) fn add(
        &mut self,
        settled: SettledMessage<A>,
        now: Instant,
        steps: &mut Vec<Step<A>>,
    ) {
        let SettledMessage {
            tag,
            acker,
            settlement,
        } = settled;
        if tag > self.highest {
            self.gaps.extend(self.highest + 1..tag);
            self.highest = tag;
        } else {
            self.gaps.remove(&tag);
        }
        match settlement {
            Settlement::Ack => {
                self.waiting.insert(tag, acker);
                self.since.get_or_insert(now);
            }
            Settlement::Reject | Settlement::Requeue => {
                let requeue = settlement == Settlement::Requeue;
                steps.push(Step::Nack { acker, requeue });
            }
            Settlement::Redeliver => steps.push(Step::Redeliver { acker }),
        }
    }

    /// Acks all settled messages below the first gap with one step.
    pub(super) fn ack_below_gap(&mut self, steps: &mut Vec<Step<A>>) {
        let above = match self.gaps.first() {
            Some(gap) => self.waiting.split_off(gap),
            None => BTreeMap::new(),
        };
        let mut below = mem::replace(&mut self.waiting, above);
        let and_below = below.len() > 1;
        // RabbitMQ rejects an already-acked tag, so ack up to the highest tag
        // not yet acked.
        let last = below.pop_last();
        steps.extend(last.map(|(_, acker)| Step::Ack { acker, and_below }));
        if self.waiting.is_empty() {
            self.since = None;
        }
    }

    /// Acks each message above a gap on its own.
    pub(super) fn ack_individually(&mut self, steps: &mut Vec<Step<A>>) {
        let waiting = mem::take(&mut self.waiting);
        steps.extend(waiting.into_values().map(|acker| Step::Ack {
            acker,
            and_below: false,
        }));
        self.since = None;
    }

    /// Returns the time until which messages above a gap may wait.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + MAX_WAIT)
    }
}

#[cfg(test)]
mod tests;
