use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn key(text: &str) -> OrderKey {
    OrderKey::sent(text).unwrap()
}

fn id(number: usize) -> EventId {
    EventId::parse(&format!("event-{number}")).unwrap()
}

/// Starts all heads that may start, and returns their items.
fn started(sequencer: &mut Sequencer<usize>, now: Duration) -> Vec<usize> {
    std::iter::from_fn(|| sequencer.start(now).map(|(_, item)| *item)).collect()
}

#[test]
fn heads_of_all_keys_start_side_by_side_and_the_others_wait() {
    let mut sequencer = Sequencer::default();
    for (number, name) in ["a", "a", "b", "a", "c"].into_iter().enumerate() {
        sequencer.add(key(name), id(number), number, None);
    }
    assert_eq!(started(&mut sequencer, SECOND), [0, 2, 4]);
    assert_eq!(sequencer.finish(&key("a")), Some(0));
    assert_eq!(started(&mut sequencer, SECOND), [1]);
    assert_eq!((sequencer.held(), sequencer.held_of(&key("a"))), (4, 2));
}

#[test]
fn failing_head_blocks_its_own_key_until_its_next_attempt() {
    let mut sequencer = Sequencer::default();
    for (number, name) in ["a", "a", "b"].into_iter().enumerate() {
        sequencer.add(key(name), id(number), number, None);
    }
    assert_eq!(started(&mut sequencer, SECOND), [0, 2]);
    sequencer.delay(&key("a"), 6 * SECOND);
    assert_eq!(sequencer.blocked(), 1);
    assert_eq!(sequencer.next_start(), Some(6 * SECOND));
    assert_eq!(started(&mut sequencer, 5 * SECOND), [0; 0]);
    assert_eq!(sequencer.finish(&key("a")), None);
    assert_eq!(started(&mut sequencer, 6 * SECOND), [0]);
    assert_eq!(sequencer.blocked(), 0);
}

#[test]
fn wanted_heads_start_before_their_time() {
    let mut sequencer = Sequencer::default();
    for (number, name) in ["a", "b", "b", "c"].into_iter().enumerate() {
        sequencer.add(key(name), id(number), number, None);
    }
    assert_eq!(started(&mut sequencer, SECOND), [0, 1, 3]);
    sequencer.delay(&key("a"), 6 * SECOND);
    sequencer.delay(&key("b"), 5 * SECOND);
    // The second event of its key and a running head are not waiting.
    sequencer.hasten(|event, _| [id(2), id(3)].contains(event));
    assert_eq!(started(&mut sequencer, SECOND), [0; 0]);
    sequencer.hasten(|event, item| *event == id(0) && *item == 0);
    assert_eq!(started(&mut sequencer, SECOND), [0]);
    assert_eq!(
        (sequencer.blocked(), sequencer.next_start()),
        (1, Some(5 * SECOND))
    );
}

#[test]
fn redelivery_of_a_held_event_takes_its_place() {
    let mut sequencer = Sequencer::default();
    sequencer.add(key("a"), id(0), 0, None);
    sequencer.add(key("a"), id(1), 1, None);
    assert_eq!(started(&mut sequencer, SECOND), [0]);
    for number in [0, 1] {
        *sequencer.held_event(&key("a"), &id(number)).unwrap() = number + 10;
    }
    assert_eq!(sequencer.held_event(&key("a"), &id(2)), None);
    assert_eq!(sequencer.held_event(&key("b"), &id(0)), None);
    assert_eq!(sequencer.running(&key("a")), Some(&mut 10));
    assert_eq!(sequencer.head_id(&key("a")), Some(&id(0)));
    assert_eq!(sequencer.finish(&key("a")), Some(10));
    assert_eq!(sequencer.running(&key("a")), None);
    assert_eq!(started(&mut sequencer, SECOND), [11]);
    assert_eq!(sequencer.items().collect::<Vec<_>>(), [&11]);
}

#[test]
fn head_of_a_successor_waits_for_the_end_of_the_lease() {
    let mut sequencer = Sequencer::default();
    sequencer.add(key("a"), id(0), 0, Some(3 * SECOND));
    sequencer.add(key("a"), id(1), 1, None);
    sequencer.add(key("b"), id(2), 2, None);
    assert_eq!(started(&mut sequencer, 2 * SECOND), [2]);
    assert_eq!(started(&mut sequencer, 3 * SECOND), [0]);
    let mut left: Vec<_> = sequencer.clear().collect();
    left.sort_unstable();
    assert_eq!(left, [0, 1, 2]);
    assert_eq!((sequencer.held(), sequencer.next_start()), (0, None));
}

#[test]
fn key_is_stuck_once_its_head_fails_or_takes_long_and_enough_events_wait_behind_it() {
    let mut sequencer = Sequencer::default();
    for (number, name) in ["a", "a", "a", "b", "b"].into_iter().enumerate() {
        sequencer.add(key(name), id(number), number, None);
    }
    let (short, long) = (|_: &usize| false, |_: &usize| true);
    assert_eq!(started(&mut sequencer, 5 * SECOND), [0, 3]);
    assert!(!sequencer.is_stuck(&key("a"), 1, short), "just tried");
    assert!(sequencer.is_stuck(&key("a"), 1, |head| *head == 0));
    assert!(!sequencer.is_stuck(&key("a"), 1, |head| *head != 0));
    assert!(!sequencer.is_stuck(&key("b"), 1, long), "one waits");
    assert_eq!(sequencer.stuck(1, long).collect::<Vec<_>>(), [&key("a")]);
    assert_eq!(sequencer.stuck(1, short).count(), 0);
    sequencer.delay(&key("a"), 9 * SECOND);
    assert!(sequencer.is_stuck(&key("a"), 1, short), "failed");
    let taken = sequencer.take_waiting(&key("a"));
    assert_eq!(taken, [(id(1), 1), (id(2), 2)]);
    assert_eq!((sequencer.held(), sequencer.held_of(&key("a"))), (3, 1));
    assert!(sequencer.take_waiting(&key("c")).is_empty());
    assert_eq!(started(&mut sequencer, 9 * SECOND), [0]);
    for number in [5, 6] {
        sequencer.add(key("a"), id(number), number, None);
    }
    assert!(sequencer.is_stuck(&key("a"), 1, short), "tried again");
    assert_eq!(sequencer.finish(&key("a")), Some(0));
    // The next head of a key has not failed.
    assert!(!sequencer.is_stuck(&key("a"), 0, short));
}

#[test]
fn key_of_a_successor_is_not_stuck_before_its_head_is_tried() {
    let mut sequencer = Sequencer::default();
    for number in [0, 1, 2] {
        sequencer.add(key("a"), id(number), number, Some(3 * SECOND));
    }
    assert!(!sequencer.is_stuck(&key("a"), 1, |_| false));
}

/// One lane: its queue at the broker, its log, and its owner.
struct Lane {
    /// Events that are not acked, in order of publication; the first `delivered` are held
    /// by the owner or were acked by it.
    queue: Vec<(usize, String)>,
    delivered: usize,
    prefetch: usize,
    owner: Sequencer<usize>,
    running: BTreeMap<String, usize>,
    /// Events whose end is in the log.
    ended: BTreeSet<usize>,
    /// First attempts and ends of each key, in order.
    attempted: BTreeMap<String, Vec<usize>>,
    finished: BTreeMap<String, Vec<usize>>,
    published: BTreeMap<String, Vec<usize>>,
    events: usize,
    now: Duration,
}

#[derive(Debug, Clone)]
enum Step {
    Publish(u8),
    Deliver,
    Start,
    /// Ends an attempt of the running event at this place.
    Succeed(usize),
    Fail(usize, u64),
    /// Writes the end to the log; the owner is killed before its ack.
    EndAndCrash(usize),
    Crash,
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..6).prop_map(Step::Publish),
        8 => Just(Step::Deliver),
        6 => Just(Step::Start),
        5 => any::<usize>().prop_map(Step::Succeed),
        3 => (any::<usize>(), 1u64..40).prop_map(|(at, seconds)| Step::Fail(at, seconds)),
        1 => any::<usize>().prop_map(Step::EndAndCrash),
        1 => Just(Step::Crash),
        2 => (1u64..30).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..400)
}

impl Lane {
    fn new(prefetch: usize) -> Self {
        Self {
            queue: Vec::new(),
            delivered: 0,
            prefetch,
            owner: Sequencer::default(),
            running: BTreeMap::new(),
            ended: BTreeSet::new(),
            attempted: BTreeMap::new(),
            finished: BTreeMap::new(),
            published: BTreeMap::new(),
            events: 0,
            now: Duration::ZERO,
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Publish(number) => self.publish(number),
            Step::Deliver => self.deliver(),
            Step::Start => self.start(),
            Step::Succeed(place) => {
                if let Some((name, event)) = self.running_at(place) {
                    self.end(&name, event);
                    self.ack(&name, event);
                }
            }
            Step::Fail(place, seconds) => {
                if let Some((name, _)) = self.running_at(place) {
                    self.running.remove(&name);
                    let until = self.now + Duration::from_secs(seconds);
                    self.owner.delay(&key(&name), until);
                }
            }
            Step::EndAndCrash(place) => {
                if let Some((name, event)) = self.running_at(place) {
                    self.end(&name, event);
                    self.crash();
                }
            }
            Step::Crash => self.crash(),
            Step::Wait(seconds) => self.now += Duration::from_secs(seconds),
        }
        assert!(self.owner.held() <= self.prefetch);
        assert_eq!(self.owner.held(), self.delivered);
    }

    fn publish(&mut self, number: u8) {
        let name = format!("chat-{number}");
        self.published
            .entry(name.clone())
            .or_default()
            .push(self.events);
        self.queue.push((self.events, name));
        self.events += 1;
    }

    fn deliver(&mut self) {
        if self.delivered == self.prefetch {
            return;
        }
        let Some((event, name)) = self.queue.get(self.delivered).cloned() else {
            return;
        };
        if self.ended.contains(&event) {
            // The look-up of a redelivered event: only its ack is missing.
            self.queue.remove(self.delivered);
            return;
        }
        self.owner.add(key(&name), id(event), event, None);
        self.delivered += 1;
    }

    fn start(&mut self) {
        let Some((started, event)) = self.owner.start(self.now).map(|(key, item)| (key, *item))
        else {
            return;
        };
        let name = started.as_str().strip_prefix("k:").unwrap().to_owned();
        let attempts = self.attempted.entry(name.clone()).or_default();
        if !attempts.contains(&event) {
            attempts.push(event);
        }
        assert_eq!(
            self.running.insert(name, event),
            None,
            "two of a key at once"
        );
    }

    fn running_at(&self, place: usize) -> Option<(String, usize)> {
        let count = self.running.len();
        let (name, event) = self.running.iter().nth(place.checked_rem(count)?)?;
        Some((name.clone(), *event))
    }

    fn end(&mut self, name: &str, event: usize) {
        self.finished
            .entry(name.to_owned())
            .or_default()
            .push(event);
        self.ended.insert(event);
    }

    fn ack(&mut self, name: &str, event: usize) {
        self.running.remove(name);
        assert_eq!(self.owner.finish(&key(name)), Some(event));
        self.queue.retain(|(queued, _)| *queued != event);
        self.delivered -= 1;
    }

    /// Ends the owner; the broker returns what it held, in the old order.
    fn crash(&mut self) {
        assert_eq!(self.owner.clear().count(), self.delivered);
        self.running.clear();
        self.delivered = 0;
    }

    /// Lets everything succeed, and returns the number of rounds that it took.
    fn drain(&mut self) {
        for _ in 0..=self.events {
            while self.delivered < self.prefetch.min(self.queue.len()) {
                self.deliver();
            }
            self.now += Duration::from_secs(60);
            for _ in 0..self.prefetch {
                self.start();
            }
            for (name, event) in self.running.clone() {
                self.end(&name, event);
                self.ack(&name, event);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_interleaving_keeps_the_order_of_each_key_and_starves_none(
        prefetch in 1usize..20,
        steps in steps(),
    ) {
        let mut lane = Lane::new(prefetch);
        for step in &steps {
            lane.take(step);
        }
        lane.drain();
        prop_assert!(lane.queue.is_empty(), "starved: {:?}", lane.queue);
        prop_assert_eq!(&lane.attempted, &lane.published);
        prop_assert_eq!(&lane.finished, &lane.published);
    }
}
