//! Batching of acks.
//!
//! The broker accepts one ack for all messages up to a tag, which costs it, and
//! lapin, as much as the ack of one message. Each subscription has its own
//! channel, whose tags count from 1, so all settled messages without a gap
//! below them share one ack. Messages settled above a gap wait for the gap to
//! close, but only for a moment: a slow delivery must not delay the acks of
//! others.

use lapin::{
    Acker,
    options::{BasicAckOptions, BasicNackOptions},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout, timeout_at},
};

use crate::local::Settlement;

/// Time limit for writing an ack; after it the connection is considered dead.
pub(crate) const WRITE_LIMIT: Duration = Duration::from_secs(5);
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

/// Settles one message of a subscription, once. Dropping it requeues the
/// message, which would otherwise stay unacked until the connection closes.
#[derive(Debug)]
pub(crate) struct BatchedLease {
    tag: u64,
    /// `None` once the message is settled.
    acker: Option<Acker>,
    settlements: mpsc::UnboundedSender<SettledMessage>,
}

impl BatchedLease {
    pub(crate) fn new(
        tag: u64,
        acker: Acker,
        settlements: mpsc::UnboundedSender<SettledMessage>,
    ) -> Self {
        let acker = Some(acker);
        Self {
            tag,
            acker,
            settlements,
        }
    }

    /// Returns true if the ack writer is still running.
    pub(crate) fn settle(mut self, settlement: Settlement) -> bool {
        self.send(settlement)
    }

    fn send(&mut self, settlement: Settlement) -> bool {
        let tag = self.tag;
        self.acker.take().is_some_and(|acker| {
            self.settlements
                .send(SettledMessage {
                    tag,
                    acker,
                    settlement,
                })
                .is_ok()
        })
    }
}

impl Drop for BatchedLease {
    fn drop(&mut self) {
        self.send(Settlement::Requeue);
    }
}

/// Next frame to write to the broker.
#[derive(Debug, PartialEq, Eq)]
enum Step<A> {
    /// Acks this message, and with `and_below` all before it.
    Ack { acker: A, and_below: bool },
    /// Requeues or rejects this message.
    Nack { acker: A, requeue: bool },
}

/// Settled messages whose acks are not written yet. Pure: the time is a
/// parameter. A slow message costs memory for its own tag, and none for the
/// messages that overtake it.
#[derive(Debug)]
struct AckBatcher<A> {
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
    /// Adds a settled message; rejects and requeues go into `steps` at once.
    fn add(&mut self, settled: SettledMessage<A>, now: Instant, steps: &mut Vec<Step<A>>) {
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
        }
    }

    /// Acks all settled messages below the first gap with one step.
    fn ack_below_gap(&mut self, steps: &mut Vec<Step<A>>) {
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
    fn ack_individually(&mut self, steps: &mut Vec<Step<A>>) {
        let waiting = mem::take(&mut self.waiting);
        steps.extend(waiting.into_values().map(|acker| Step::Ack {
            acker,
            and_below: false,
        }));
        self.since = None;
    }

    /// Returns the time until which messages above a gap may wait.
    fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + MAX_WAIT)
    }
}

/// Writes the settlements of one subscription to the broker, until none can
/// follow or the connection is `closing`.
pub(crate) async fn write_acks(
    mut settlements: mpsc::UnboundedReceiver<SettledMessage>,
    mut closing: watch::Receiver<bool>,
) {
    let mut batcher = AckBatcher::default();
    let mut batch = Vec::new();
    let mut open = true;
    while open {
        open = tokio::select! {
            open = receive(&mut settlements, &mut batch, batcher.deadline()) => open,
            _ = closing.wait_for(|closing| *closing) => {
                settlements.close();
                while let Ok(last) = settlements.try_recv() {
                    batch.push(last);
                }
                false
            }
        };
        let now = Instant::now();
        let mut steps = Vec::new();
        for settled in batch.drain(..) {
            batcher.add(settled, now, &mut steps);
        }
        batcher.ack_below_gap(&mut steps);
        if !open || batcher.deadline().is_some_and(|end| end <= now) {
            batcher.ack_individually(&mut steps);
        }
        for step in steps {
            if !write_step(step).await {
                // The connection is closed: the broker redelivers the messages.
                return;
            }
        }
    }
}

/// Waits for more settled messages, at most until `end`; returns true if more
/// can follow.
async fn receive(
    settlements: &mut mpsc::UnboundedReceiver<SettledMessage>,
    batch: &mut Vec<SettledMessage>,
    end: Option<Instant>,
) -> bool {
    const MAX_BATCH: usize = 1024;
    let more = settlements.recv_many(batch, MAX_BATCH);
    match end {
        None => more.await > 0,
        Some(end) => timeout_at(end, more).await.map_or(true, |more| more > 0),
    }
}

async fn write_step(step: Step<Acker>) -> bool {
    match step {
        Step::Ack { acker, and_below } => {
            let multiple = and_below;
            is_written(acker.ack(BasicAckOptions { multiple })).await
        }
        Step::Nack { acker, requeue } => is_written(nack(&acker, requeue)).await,
    }
}

/// Writes the settlement of one message; returns true if it was written.
pub(crate) async fn write_ack(acker: &Acker, settlement: Settlement) -> bool {
    match settlement {
        Settlement::Ack => is_written(acker.ack(BasicAckOptions::default())).await,
        Settlement::Reject => is_written(nack(acker, false)).await,
        Settlement::Requeue => is_written(nack(acker, true)).await,
    }
}

fn nack(acker: &Acker, requeue: bool) -> impl Future<Output = lapin::Result<bool>> {
    let multiple = false;
    acker.nack(BasicNackOptions { multiple, requeue })
}

async fn is_written(step: impl Future<Output = lapin::Result<bool>>) -> bool {
    matches!(timeout(WRITE_LIMIT, step).await, Ok(Ok(true)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Model of a broker; the tag of a message is its acker.
    #[derive(Debug, Default)]
    struct Broker {
        outstanding: BTreeSet<u64>,
        acked: BTreeSet<u64>,
        nacked: BTreeSet<u64>,
    }

    impl Broker {
        fn with_messages(messages: u64) -> Self {
            Self {
                outstanding: (1..=messages).collect(),
                ..Self::default()
            }
        }

        /// Panics on an unknown or settled tag, for which RabbitMQ closes the
        /// channel.
        fn apply(&mut self, steps: Vec<Step<u64>>) {
            for step in steps {
                match step {
                    Step::Ack { acker, and_below } => {
                        assert!(self.outstanding.remove(&acker), "unknown tag {acker}");
                        self.acked.insert(acker);
                        if and_below {
                            let above = self.outstanding.split_off(&acker);
                            self.acked.append(&mut self.outstanding);
                            self.outstanding = above;
                        }
                    }
                    Step::Nack { acker, .. } => {
                        assert!(self.outstanding.remove(&acker), "unknown tag {acker}");
                        self.nacked.insert(acker);
                    }
                }
            }
        }
    }

    fn settled(tag: u64, settlement: Settlement) -> SettledMessage<u64> {
        SettledMessage {
            tag,
            acker: tag,
            settlement,
        }
    }

    fn ack_all(batcher: &mut AckBatcher<u64>, tags: &[u64]) -> Vec<Step<u64>> {
        let (mut steps, now) = (Vec::new(), Instant::now());
        for tag in tags {
            batcher.add(settled(*tag, Settlement::Ack), now, &mut steps);
        }
        batcher.ack_below_gap(&mut steps);
        steps
    }

    fn ack(tag: u64, and_below: bool) -> Step<u64> {
        let acker = tag;
        Step::Ack { acker, and_below }
    }

    #[test]
    fn messages_without_a_gap_below_share_one_ack_and_others_wait() {
        let mut batcher = AckBatcher::default();
        assert_eq!(ack_all(&mut batcher, &[2, 1, 3, 6]), [ack(3, true)]);
        assert!(batcher.deadline().is_some());
        assert_eq!(ack_all(&mut batcher, &[5]), []);
        assert_eq!(ack_all(&mut batcher, &[4]), [ack(6, true)]);
        assert_eq!(batcher.deadline(), None);
        assert_eq!(ack_all(&mut batcher, &[7]), [ack(7, false)]);
    }

    #[test]
    fn messages_above_a_gap_are_acked_individually_and_never_twice() {
        let mut batcher = AckBatcher::default();
        assert_eq!(ack_all(&mut batcher, &[2, 3]), []);
        let mut steps = Vec::new();
        batcher.ack_individually(&mut steps);
        assert_eq!(steps, [ack(2, false), ack(3, false)]);
        assert_eq!(batcher.deadline(), None);
        // The broker no longer has tag 3, the last of these.
        assert_eq!(ack_all(&mut batcher, &[1]), [ack(1, false)]);
        // The gap is closed: later messages share one ack again.
        assert_eq!(ack_all(&mut batcher, &[5, 4]), [ack(5, true)]);
    }

    #[test]
    fn an_unsettled_message_costs_nothing_for_those_that_overtake_it() {
        let mut batcher = AckBatcher::default();
        for tag in 2..=10_000 {
            assert_eq!(ack_all(&mut batcher, &[tag]), []);
            batcher.ack_individually(&mut Vec::new());
        }
        assert_eq!(batcher.gaps, BTreeSet::from([1]));
        assert!(batcher.waiting.is_empty());
    }

    proptest! {
        /// Any order of settlements, split into batches in any way.
        #[test]
        fn exactly_the_settled_messages_are_written_to_the_broker(
            order in Just((1..=40_u64).collect::<Vec<_>>()).prop_shuffle(),
            ends in 0..=40_usize,
            nacks in prop::collection::btree_set(1..=40_u64, 0..10),
            turns in prop::collection::vec((1_usize..12, any::<bool>()), 40),
        ) {
            let (mut batcher, mut broker) = (AckBatcher::default(), Broker::with_messages(40));
            let settled_tags = order.get(..ends).unwrap();
            let mut left = settled_tags;
            for (most, is_past_deadline) in turns {
                let (now, later) = left.split_at(most.min(left.len()));
                left = later;
                let mut steps = Vec::new();
                for tag in now {
                    let settlement = if nacks.contains(tag) { Settlement::Requeue } else { Settlement::Ack };
                    batcher.add(settled(*tag, settlement), Instant::now(), &mut steps);
                }
                batcher.ack_below_gap(&mut steps);
                if is_past_deadline {
                    batcher.ack_individually(&mut steps);
                }
                broker.apply(steps);
                let so_far = settled_tags.get(..ends - left.len()).unwrap();
                prop_assert!(broker.acked.iter().chain(&broker.nacked).all(|tag| so_far.contains(tag)));
            }
            let mut steps = Vec::new();
            batcher.ack_individually(&mut steps);
            broker.apply(steps);
            let (nacked, acked): (BTreeSet<u64>, BTreeSet<u64>) =
                settled_tags.iter().partition(|tag| nacks.contains(tag));
            prop_assert_eq!(broker.acked, acked);
            prop_assert_eq!(broker.nacked, nacked);
        }
    }
}
