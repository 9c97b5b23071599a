//! Which acks can go together?
//!
//! The broker takes an ack of everything up to a tag at once, which costs it,
//! and lapin, as much as the ack of one message. A subscription has a channel
//! of its own, whose tags count from 1, so what is settled without a gap below
//! goes in one ack. What is settled above a gap waits for the gap to close, for
//! a moment only: a delivery that takes long must not hold up the others' acks.

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

/// An ack that can't be written in this time belongs to a dead connection.
pub(crate) const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// How long a settled message may wait for those below it.
const PATIENCE: Duration = Duration::from_millis(20);

/// A message that is dealt with.
#[derive(Debug)]
pub(crate) struct Ended<A = Acker> {
    /// Its place in what its channel has handed out, from 1.
    pub(crate) tag: u64,
    /// What tells the broker.
    pub(crate) acker: A,
    /// How it ended.
    pub(crate) ending: Ending,
}

/// How a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The broker forgets it.
    Ack,
    /// The broker moves it to its queue's dead letters.
    Reject,
    /// The broker hands it out again.
    Requeue,
}

/// The right to end one message of a subscription. Dropped unused, the message
/// goes back to its queue: held, it would be nobody's until the connection ends.
#[derive(Debug)]
pub(crate) struct GatheredLease {
    tag: u64,
    /// Taken when it ends.
    acker: Option<Acker>,
    endings: mpsc::UnboundedSender<Ended>,
}

impl GatheredLease {
    pub(crate) fn new(tag: u64, acker: Acker, endings: mpsc::UnboundedSender<Ended>) -> Self {
        let acker = Some(acker);
        Self {
            tag,
            acker,
            endings,
        }
    }

    /// Says whether anybody is left to tell the broker.
    pub(crate) fn end(mut self, ending: Ending) -> bool {
        self.give(ending)
    }

    fn give(&mut self, ending: Ending) -> bool {
        let tag = self.tag;
        self.acker
            .take()
            .is_some_and(|acker| self.endings.send(Ended { tag, acker, ending }).is_ok())
    }
}

impl Drop for GatheredLease {
    fn drop(&mut self) {
        self.give(Ending::Requeue);
    }
}

/// What is to be told to the broker.
#[derive(Debug, PartialEq, Eq)]
enum Step<A> {
    /// This message is acknowledged, and with `and_below` all before it.
    Ack { acker: A, and_below: bool },
    /// This message goes back, or away.
    Nack { acker: A, requeue: bool },
}

/// What is settled and not yet told. Pure: the moment comes in as a value. A
/// message that takes long costs its own tag and nothing for those that pass it.
#[derive(Debug)]
struct Gathered<A> {
    /// The highest that is settled.
    highest: u64,
    /// Below it and not settled: no more than the broker hands out at once.
    gaps: BTreeSet<u64>,
    /// Settled, and the broker was not told.
    waiting: BTreeMap<u64, A>,
    /// Since when the oldest of them wait.
    since: Option<Instant>,
}

impl<A> Default for Gathered<A> {
    fn default() -> Self {
        Self {
            highest: 0,
            gaps: BTreeSet::new(),
            waiting: BTreeMap::new(),
            since: None,
        }
    }
}

impl<A> Gathered<A> {
    /// Takes note of what has ended; what can't wait goes into `steps`.
    fn add(&mut self, ended: Ended<A>, now: Instant, steps: &mut Vec<Step<A>>) {
        let Ended { tag, acker, ending } = ended;
        if tag > self.highest {
            self.gaps.extend(self.highest + 1..tag);
            self.highest = tag;
        } else {
            self.gaps.remove(&tag);
        }
        match ending {
            Ending::Ack => {
                self.waiting.insert(tag, acker);
                self.since.get_or_insert(now);
            }
            Ending::Reject | Ending::Requeue => {
                let requeue = ending == Ending::Requeue;
                steps.push(Step::Nack { acker, requeue });
            }
        }
    }

    /// One ack for all that is settled without a gap.
    fn without_gap(&mut self, steps: &mut Vec<Step<A>>) {
        let above = match self.gaps.first() {
            Some(gap) => self.waiting.split_off(gap),
            None => BTreeMap::new(),
        };
        let mut below = mem::replace(&mut self.waiting, above);
        let and_below = below.len() > 1;
        // A tag that the broker was told of already is none that it knows, so
        // the last one that it was not told of speaks for those below.
        let last = below.pop_last();
        steps.extend(last.map(|(_, acker)| Step::Ack { acker, and_below }));
        if self.waiting.is_empty() {
            self.since = None;
        }
    }

    /// An ack for each that is settled above a gap.
    fn one_by_one(&mut self, steps: &mut Vec<Step<A>>) {
        let waiting = mem::take(&mut self.waiting);
        steps.extend(waiting.into_values().map(|acker| Step::Ack {
            acker,
            and_below: false,
        }));
        self.since = None;
    }

    /// Until when those above a gap may wait.
    fn patient_until(&self) -> Option<Instant> {
        self.since.map(|since| since + PATIENCE)
    }
}

/// Tells the broker of one subscription's messages as they end, until nobody is
/// left who could end one, or until the connection is `closing`.
pub(crate) async fn tell(
    mut ended: mpsc::UnboundedReceiver<Ended>,
    mut closing: watch::Receiver<bool>,
) {
    let mut gathered = Gathered::default();
    let mut news = Vec::new();
    let mut open = true;
    while open {
        open = tokio::select! {
            open = more(&mut ended, &mut news, gathered.patient_until()) => open,
            _ = closing.wait_for(|closing| *closing) => {
                ended.close();
                while let Ok(last) = ended.try_recv() {
                    news.push(last);
                }
                false
            }
        };
        let now = Instant::now();
        let mut steps = Vec::new();
        for ended in news.drain(..) {
            gathered.add(ended, now, &mut steps);
        }
        gathered.without_gap(&mut steps);
        if !open || gathered.patient_until().is_some_and(|end| end <= now) {
            gathered.one_by_one(&mut steps);
        }
        for step in steps {
            if !told(step).await {
                // The connection is gone: the broker hands them out anew.
                return;
            }
        }
    }
}

/// Waits for more, no longer than until `end`; says whether more can come.
async fn more(
    ended: &mut mpsc::UnboundedReceiver<Ended>,
    news: &mut Vec<Ended>,
    end: Option<Instant>,
) -> bool {
    const AT_ONCE: usize = 1024;
    let more = ended.recv_many(news, AT_ONCE);
    match end {
        None => more.await > 0,
        Some(end) => timeout_at(end, more).await.map_or(true, |more| more > 0),
    }
}

async fn told(step: Step<Acker>) -> bool {
    match step {
        Step::Ack { acker, and_below } => {
            let multiple = and_below;
            is_written(acker.ack(BasicAckOptions { multiple })).await
        }
        Step::Nack { acker, requeue } => is_written(nack(&acker, requeue)).await,
    }
}

/// Tells the broker of one message alone; says whether it was told.
pub(crate) async fn tell_one(acker: &Acker, ending: Ending) -> bool {
    match ending {
        Ending::Ack => is_written(acker.ack(BasicAckOptions::default())).await,
        Ending::Reject => is_written(nack(acker, false)).await,
        Ending::Requeue => is_written(nack(acker, true)).await,
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

    /// What a broker would know, whose messages stand for their own ackers.
    #[derive(Debug, Default)]
    struct Broker {
        outstanding: BTreeSet<u64>,
        acked: BTreeSet<u64>,
        nacked: BTreeSet<u64>,
    }

    impl Broker {
        fn of(messages: u64) -> Self {
            Self {
                outstanding: (1..=messages).collect(),
                ..Self::default()
            }
        }

        /// RabbitMQ ends the channel over a tag that it does not know (any more).
        fn take(&mut self, steps: Vec<Step<u64>>) {
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

    fn ended(tag: u64, ending: Ending) -> Ended<u64> {
        Ended {
            tag,
            acker: tag,
            ending,
        }
    }

    fn gather(gathered: &mut Gathered<u64>, tags: &[u64]) -> Vec<Step<u64>> {
        let (mut steps, now) = (Vec::new(), Instant::now());
        for tag in tags {
            gathered.add(ended(*tag, Ending::Ack), now, &mut steps);
        }
        gathered.without_gap(&mut steps);
        steps
    }

    fn ack(tag: u64, and_below: bool) -> Step<u64> {
        let acker = tag;
        Step::Ack { acker, and_below }
    }

    #[test]
    fn what_has_no_gap_below_goes_in_one_ack_and_the_rest_waits() {
        let mut gathered = Gathered::default();
        assert_eq!(gather(&mut gathered, &[2, 1, 3, 6]), [ack(3, true)]);
        assert!(gathered.patient_until().is_some());
        assert_eq!(gather(&mut gathered, &[5]), []);
        assert_eq!(gather(&mut gathered, &[4]), [ack(6, true)]);
        assert_eq!(gathered.patient_until(), None);
        assert_eq!(gather(&mut gathered, &[7]), [ack(7, false)]);
    }

    #[test]
    fn what_waits_for_a_gap_is_told_alone_in_the_end_and_never_twice() {
        let mut gathered = Gathered::default();
        assert_eq!(gather(&mut gathered, &[2, 3]), []);
        let mut steps = Vec::new();
        gathered.one_by_one(&mut steps);
        assert_eq!(steps, [ack(2, false), ack(3, false)]);
        assert_eq!(gathered.patient_until(), None);
        // The last of these, 3, is no tag that the broker still knows.
        assert_eq!(gather(&mut gathered, &[1]), [ack(1, false)]);
        // And the gap is closed: what comes next goes together again.
        assert_eq!(gather(&mut gathered, &[5, 4]), [ack(5, true)]);
    }

    #[test]
    fn a_message_that_is_never_settled_costs_nothing_for_those_that_pass_it() {
        let mut gathered = Gathered::default();
        for tag in 2..=10_000 {
            assert_eq!(gather(&mut gathered, &[tag]), []);
            gathered.one_by_one(&mut Vec::new());
        }
        assert_eq!(gathered.gaps, BTreeSet::from([1]));
        assert!(gathered.waiting.is_empty());
    }

    proptest! {
        /// Whatever ends in whichever order, however it is cut into turns.
        #[test]
        fn the_broker_is_told_of_all_that_ended_and_of_nothing_else(
            order in Just((1..=40_u64).collect::<Vec<_>>()).prop_shuffle(),
            ends in 0..=40_usize,
            nacks in prop::collection::btree_set(1..=40_u64, 0..10),
            turns in prop::collection::vec((1_usize..12, any::<bool>()), 40),
        ) {
            let (mut gathered, mut broker) = (Gathered::default(), Broker::of(40));
            let ended_tags = order.get(..ends).unwrap();
            let mut left = ended_tags;
            for (most, is_impatient) in turns {
                let (now, later) = left.split_at(most.min(left.len()));
                left = later;
                let mut steps = Vec::new();
                for tag in now {
                    let ending = if nacks.contains(tag) { Ending::Requeue } else { Ending::Ack };
                    gathered.add(ended(*tag, ending), Instant::now(), &mut steps);
                }
                gathered.without_gap(&mut steps);
                if is_impatient {
                    gathered.one_by_one(&mut steps);
                }
                broker.take(steps);
                let so_far = ended_tags.get(..ends - left.len()).unwrap();
                prop_assert!(broker.acked.iter().chain(&broker.nacked).all(|tag| so_far.contains(tag)));
            }
            let mut steps = Vec::new();
            gathered.one_by_one(&mut steps);
            broker.take(steps);
            let (nacked, acked): (BTreeSet<u64>, BTreeSet<u64>) =
                ended_tags.iter().partition(|tag| nacks.contains(tag));
            prop_assert_eq!(broker.acked, acked);
            prop_assert_eq!(broker.nacked, nacked);
        }
    }
}
