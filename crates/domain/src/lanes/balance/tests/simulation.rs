//! Consumers that share twelve lanes, with a simulated clock.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};

const LANES: usize = 12;
/// Promised time from a change to the balance.
const BALANCED_WITHIN: Duration = s(10);

/// Change of the consumers.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// So many start, if no more than three run then.
    Join(usize),
    /// One ends, if another one runs.
    Leave(usize),
}

/// Least and most milliseconds.
type Span = (u64, u64);

/// Time from the start of a consumer until it is counted.
const COUNTED: Span = (0, 300);
/// Time from the start of a consumer until it has subscribed to a lane.
const SUBSCRIBED: Span = (0, 500);
/// Time from the end of a subscription to the next one.
const AGAIN: Span = (5, 50);
/// Time until a new owner receives its first message.
const NOTICED: Span = (0, 200);
/// Time until the attempts in flight have ended. The promise is for webhooks that answer soon.
const IN_FLIGHT: Span = (0, 500);

struct Simulation {
    now: Duration,
    random: u64,
    lanes: Vec<Lane>,
    consumers: BTreeMap<u32, Consumer>,
    started: u32,
    subscribed: Span,
    /// Consumers that are counted, and have other settings.
    others: u32,
    given_up: usize,
}

#[derive(Default)]
struct Lane {
    /// The first one owns it.
    subscribers: VecDeque<u32>,
    /// Time of the first message for a new owner.
    noticed_at: Duration,
    is_noticed: bool,
}

struct Consumer {
    balance: LaneBalance,
    counted_at: Duration,
    polled_at: Duration,
    /// Lanes to subscribe to, with the time.
    subscribing: BTreeSet<(Duration, usize)>,
    /// Lanes to give up, with the end of the attempts in flight.
    releasing: BTreeSet<(Duration, usize)>,
}

impl Simulation {
    fn new(seed: u64, subscribed: Span) -> Self {
        let mut simulation = Self {
            now: s(0),
            random: seed | 1,
            lanes: (0..LANES).map(|_| Lane::default()).collect(),
            consumers: BTreeMap::new(),
            started: 0,
            subscribed,
            others: 0,
            given_up: 0,
        };
        simulation.join();
        simulation.run(s(5));
        simulation
    }

    /// Returns the time after so many milliseconds, by chance.
    fn after(&mut self, (least, most): Span) -> Duration {
        // Xorshift.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.now + Duration::from_millis(least + self.random % (most - least + 1))
    }

    fn join(&mut self) {
        let subscribed = self.subscribed;
        let consumer = Consumer {
            balance: LaneBalance::default(),
            counted_at: self.after(COUNTED),
            polled_at: self.after((0, 375)),
            subscribing: (0..LANES)
                .map(|lane| (self.after(subscribed), lane))
                .collect(),
            releasing: BTreeSet::new(),
        };
        self.started += 1;
        self.consumers.insert(self.started, consumer);
    }

    fn leave(&mut self, consumer: u32) {
        self.consumers.remove(&consumer);
        for lane in 0..LANES {
            self.unsubscribe(lane, consumer);
        }
    }

    fn unsubscribe(&mut self, lane: usize, consumer: u32) {
        let noticed_at = self.after(NOTICED);
        let lane = &mut self.lanes[lane];
        let was_owner = lane.subscribers.front() == Some(&consumer);
        lane.subscribers.retain(|other| *other != consumer);
        if was_owner {
            (lane.noticed_at, lane.is_noticed) = (noticed_at, false);
        }
    }

    fn subscribe(&mut self, lane: usize, consumer: u32) {
        let noticed_at = self.after(NOTICED);
        let lane = &mut self.lanes[lane];
        lane.subscribers.push_back(consumer);
        if lane.subscribers.len() == 1 {
            (lane.noticed_at, lane.is_noticed) = (noticed_at, false);
        }
    }

    fn change(&mut self, change: Change) {
        let running: Vec<u32> = self.consumers.keys().copied().collect();
        match change {
            Change::Join(consumers) => {
                let most = 3_usize.saturating_sub(running.len());
                (0..consumers.min(most)).for_each(|_| self.join());
            }
            Change::Leave(which) if running.len() > 1 => self.leave(running[which % running.len()]),
            Change::Leave(_) => {}
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
            self.now += STEP;
        }
    }

    fn step(&mut self) {
        let now = self.now;
        let consumers: Vec<u32> = self.consumers.keys().copied().collect();
        for id in consumers {
            let consumer = self.consumers.get_mut(&id).unwrap();
            let is_due = |(at, _): &(Duration, usize)| *at <= now;
            let subscribing: Vec<_> = consumer.subscribing.iter().copied().collect();
            let releasing: Vec<_> = consumer.releasing.iter().copied().collect();
            consumer.subscribing.retain(|one| !is_due(one));
            consumer.releasing.retain(|one| !is_due(one));
            for (_, lane) in releasing.into_iter().filter(is_due) {
                self.consumers.get_mut(&id).unwrap().balance.end(lane, now);
                self.unsubscribe(lane, id);
                let again = self.after(AGAIN);
                let consumer = self.consumers.get_mut(&id).unwrap();
                consumer.subscribing.insert((again, lane));
            }
            for (_, lane) in subscribing.into_iter().filter(is_due) {
                self.subscribe(lane, id);
            }
        }
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            if let Some(owner) = lane.subscribers.front()
                && !lane.is_noticed
                && lane.noticed_at <= now
            {
                lane.is_noticed = true;
                let owner = self.consumers.get_mut(owner).unwrap();
                owner.balance.own(number, now);
            }
        }
        let consumers: Vec<u32> = self.consumers.keys().copied().collect();
        let all = self.consumers.values();
        let counted = all.filter(|consumer| consumer.counted_at <= now).count();
        let members = u32::try_from(counted).unwrap() + self.others;
        for id in consumers {
            let released_at = self.after(IN_FLIGHT);
            let consumer = self.consumers.get_mut(&id).unwrap();
            if consumer.polled_at <= now {
                consumer.polled_at += POLL_EVERY;
                if let Some(lane) = consumer.balance.poll(LANES, members, now) {
                    self.given_up += 1;
                    consumer.releasing.insert((released_at, lane));
                }
            }
        }
    }

    /// Returns the number of lanes of each consumer.
    fn owned(&self) -> Vec<usize> {
        let owners = || {
            self.lanes
                .iter()
                .filter_map(|lane| lane.subscribers.front())
        };
        let owned = |id: &u32| owners().filter(|owner| *owner == id).count();
        self.consumers.keys().map(owned).collect()
    }

    /// Checks that the lanes are divided evenly, and that no more are given up.
    fn assert_balanced(&mut self) {
        self.assert_balanced_within(BALANCED_WITHIN);
    }

    fn assert_balanced_within(&mut self, limit: Duration) {
        self.run(limit);
        let share = LANES / self.consumers.len();
        assert!(
            self.owned().iter().all(|owned| *owned == share),
            "{:?}",
            self.owned()
        );
        let given_up = self.given_up;
        self.run(s(60));
        assert_eq!(self.given_up, given_up, "lanes given up after the balance");
    }
}

fn change() -> impl Strategy<Value = Change> {
    let join = (1_usize..=2).prop_map(Change::Join);
    prop_oneof![join, (0_usize..3).prop_map(Change::Leave)]
}

fn changes() -> impl Strategy<Value = Vec<(Change, u64)>> {
    // With the time to the next one.
    prop::collection::vec((change(), 0_u64..15_000), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn twelve_lanes_are_balanced_within_ten_seconds_after_any_joins_and_leaves(
        seed: u64,
        changes in changes(),
    ) {
        let mut simulation = Simulation::new(seed, SUBSCRIBED);
        for (number, (change, pause)) in changes.iter().enumerate() {
            simulation.change(*change);
            if number + 1 < changes.len() {
                simulation.run(Duration::from_millis(*pause));
            }
        }
        simulation.assert_balanced();
    }

    #[test]
    fn consumers_that_subscribe_seconds_after_they_are_counted_get_their_lanes_soon(
        seed: u64,
        joins in 1_usize..=2,
    ) {
        let mut simulation = Simulation::new(seed, (1_500, 2_500));
        simulation.change(Change::Join(joins));
        // The last one may follow a rest.
        simulation.assert_balanced_within(Duration::from_millis(2_500) + s(15));
    }

    #[test]
    fn lanes_move_seldom_while_a_counted_consumer_takes_none_and_not_at_all_after_it(
        seed: u64,
        consumers in 1_usize..=2,
    ) {
        let mut simulation = Simulation::new(seed, SUBSCRIBED);
        simulation.change(Change::Join(consumers - 1));
        simulation.assert_balanced();
        simulation.others = 1;
        simulation.run(s(60));
        let given_up = simulation.given_up;
        simulation.run(s(600));
        let given_up = simulation.given_up - given_up;
        // Without rests there are more than a thousand.
        prop_assert!(given_up <= 200 * consumers, "{given_up} in ten minutes");
        simulation.others = 0;
        simulation.assert_balanced();
    }
}
