use std::collections::VecDeque;

use super::*;

#[test]
fn prefetch_is_bounded_by_its_factor_the_log_and_the_rate_limit() {
    let limit = |per_second| RateLimit::new(per_second);
    for (concurrency, rate_limit, expected) in [
        (1, None, 8),
        (8, None, 64),
        (128, None, 896),
        (2_048, None, 2_816),
        (u16::MAX, None, u16::MAX),
        (128, limit(10.0), 50),
        (128, limit(0.01), 1),
        (1, limit(10_000.0), 8),
    ] {
        let prefetched = prefetch(concurrency, 768, rate_limit, Duration::from_secs(30));
        assert_eq!(prefetched, expected, "{concurrency} {rate_limit:?}");
        assert!(prefetched.div_ceil(concurrency) <= PREFETCH_FACTOR);
    }
}

#[test]
fn no_prefetched_message_waits_as_long_as_the_broker_allows() {
    let allowed = Duration::from_secs(30 * 60);
    for (seconds, concurrency, expected) in [
        (30, 1, 8),
        (150, 1, 8),
        (300, 1, 4),
        (300, 128, 512),
        (300, 2_048, 2_816),
    ] {
        let timeout = Duration::from_secs(seconds);
        let prefetched = prefetch(concurrency, 768, None, timeout);
        assert_eq!(prefetched, expected, "{seconds} {concurrency}");
        let rounds = u32::from(prefetched.div_ceil(concurrency));
        assert!(timeout * rounds < allowed);
    }
    let hours = Duration::from_secs(36_000);
    assert_eq!(prefetch(1, 768, None, hours), 1);
}

#[test]
fn slowed_endpoint_prefetches_what_two_minutes_deliver() {
    for (full, per_second, expected) in [
        (896, 8.5, 896),
        (896, 1.0, 64),
        (896, 0.1, 8),
        (8, 0.1, 8),
        (8, 0.001, 1),
    ] {
        assert_eq!(
            slowed_prefetch(full, per_second),
            expected,
            "{full} {per_second}"
        );
    }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const BUDGET: u64 = 128 * MIB;

/// Broker with a queue of message sizes, and a consumer that holds what it sends. Acks
/// come one by one; a subscription is replaced as [`AdaptivePrefetch`] decides.
struct Simulation {
    prefetch: AdaptivePrefetch,
    queue: VecDeque<u64>,
    held: VecDeque<u64>,
    /// Held messages of the current subscription, the newest ones.
    unacked: usize,
    is_paused: bool,
    most: u64,
    most_messages: usize,
    widest: u16,
}

impl Simulation {
    fn new(sizes: impl IntoIterator<Item = u64>) -> Self {
        Self {
            prefetch: AdaptivePrefetch::new(896, room(BUDGET, 0)),
            queue: sizes.into_iter().collect(),
            held: VecDeque::new(),
            unacked: 0,
            is_paused: false,
            most: 0,
            most_messages: 0,
            widest: 0,
        }
    }

    fn bytes(&self) -> u64 {
        self.held.iter().sum()
    }

    /// Delivers until the prefetch is used up: a pause stops it at once.
    fn send(&mut self) {
        let room = room(BUDGET, 0);
        while !self.is_paused && self.unacked < self.prefetch.current().into() {
            let Some(size) = self.queue.pop_front() else {
                return;
            };
            self.held.push_back(size);
            self.unacked += 1;
            let held = self.bytes();
            self.most = self.most.max(held);
            self.most_messages = self.most_messages.max(self.held.len());
            match self.prefetch.received(size, self.held.len(), held, room) {
                Adaptation::Keep => {}
                Adaptation::Grow(next) => {
                    self.prefetch.grown(next);
                    self.unacked = 0;
                }
                Adaptation::Pause => self.is_paused = true,
            }
            self.widest = self.widest.max(self.prefetch.current());
        }
    }

    fn settle_one(&mut self) {
        self.held.pop_front();
        self.unacked = self.unacked.min(self.held.len());
        let room = room(BUDGET, 0);
        if self.is_paused && AdaptivePrefetch::may_resume(self.bytes(), room) {
            self.prefetch.resumed(room);
            self.is_paused = false;
            self.unacked = 0;
        }
    }

    fn run(&mut self) {
        self.send();
        while !self.held.is_empty() {
            self.settle_one();
            self.send();
        }
        assert!(
            self.queue.is_empty(),
            "{} messages are stranded",
            self.queue.len()
        );
    }
}

#[test]
fn small_messages_reach_the_ceiling() {
    let mut simulation = Simulation::new((0..20_000).map(|_| 2 * KIB));
    simulation.run();
    assert_eq!(simulation.widest, 896);
    // While it grows, messages of the prefetch before are held too, and of no earlier one.
    let most = simulation.most_messages;
    assert!(most < 2 * 896, "{most}");
}

#[test]
fn growth_waits_for_settled_messages() {
    let mut simulation = Simulation::new((0..20_000).map(|_| 2 * KIB));
    simulation.send();
    let unsettled = simulation.held.len();
    assert!(
        unsettled <= 32,
        "{unsettled} messages without a settled one"
    );
}

#[test]
fn large_messages_stay_within_the_budget_and_are_all_delivered() {
    for size in [256 * KIB, MIB, 4 * MIB, 15 * MIB, 200 * MIB] {
        let mut simulation = Simulation::new((0..400).map(|_| size));
        simulation.run();
        let limit = room(BUDGET, 0) + size;
        assert!(simulation.most <= limit, "{size}: {}", simulation.most);
    }
}

#[test]
fn mixed_messages_stay_within_the_budget() {
    let sizes = (0..10_000).map(|n| if n % 10 == 3 { MIB } else { 2 * KIB });
    let mut simulation = Simulation::new(sizes);
    simulation.run();
    assert!(
        simulation.most <= room(BUDGET, 0) + MIB,
        "{}",
        simulation.most
    );
    assert!(simulation.widest >= 32, "{}", simulation.widest);
}

#[test]
fn large_messages_after_small_ones_pause_and_the_prefetch_grows_again() {
    let small = || (0..10_000).map(|_| KIB);
    let mut simulation = Simulation::new(small().chain((0..400).map(|_| MIB)));
    simulation.run();
    assert!(
        simulation.most <= room(BUDGET, 0) + MIB,
        "{}",
        simulation.most
    );
    assert!(simulation.prefetch.current() <= 64);
    simulation.queue.extend(small());
    simulation.run();
    assert_eq!(simulation.prefetch.current(), 896);
}

#[test]
fn subscriptions_share_the_budget() {
    let mut held = [0_u64; 4];
    for _ in 0..10_000 {
        for index in 0..held.len() {
            let total: u64 = held.iter().sum();
            let own = held[index];
            if has_room(own, room(BUDGET, total - own)) {
                held[index] += MIB;
            }
        }
    }
    let total: u64 = held.iter().sum();
    assert!(total <= BUDGET, "{total}");
    for own in held {
        assert!((20 * MIB..=30 * MIB).contains(&own), "{held:?}");
    }
    assert!(
        has_room(0, room(BUDGET, BUDGET + MIB)),
        "one message is always allowed"
    );
}
