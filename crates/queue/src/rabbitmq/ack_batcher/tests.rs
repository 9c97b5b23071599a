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
                Step::Nack { acker, .. } | Step::Redeliver { acker } => {
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
                let settlement = if nacks.contains(tag) { Settlement::Redeliver } else { Settlement::Ack };
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
