//! Changes of the order and the number of lanes by consumers that follow each other.

use std::collections::BTreeMap;
use std::time::Duration;

use wahook_tests::chats::{Chats, event_of, fails_once};
use wahook_tests::pair::Pair;
use wahook_tests::receiver::{Answer, Receiver};
use wahook_tests::world::{Test, Tests};

use super::{CHATS, all_taken, stop};

/// Order and lanes of the consumers that follow each other.
const CHANGES: [(&str, &str); 8] = [
    ("none", "1"),
    ("none", "4"),
    ("none", "1"),
    ("chat", "4"),
    ("none", "3"),
    ("chat", "1"),
    ("none", "1"),
    ("chat", "4"),
];

pub(super) fn add(tests: &mut Tests) {
    for is_killed in [false, true] {
        let how = if is_killed { "kills" } else { "stops" };
        tests.add(
            format!("events_are_delivered_after_changes_of_order_and_lanes_with_{how}"),
            move |test| changed(test, is_killed),
        );
    }
}

/// Events are queued at each change, and accepted before it and after it.
async fn changed(test: Test, is_killed: bool) {
    let receiver = Receiver::answering(|post| {
        let answer = Answer::status(if fails_once(post) { 500 } else { 200 });
        answer.after(Duration::from_millis(150))
    });
    let settings = [
        ("WEBHOOK_RETRY_DELAY", "500"),
        ("WEBHOOK_CIRCUIT", "off"),
        ("WEBHOOK_CONCURRENCY", "2"),
    ];
    let first = [settings.as_slice(), of(CHANGES[0]).as_slice()].concat();
    let pair = test.pair(receiver.await, &first).await;
    let url = pair.producer.base_url();
    let mut chats = Chats { each: 2, ..CHATS };
    chats.post(&url).await;
    for (number, change) in CHANGES.into_iter().enumerate().skip(1) {
        let consumer = pair.take_consumer();
        if is_killed {
            consumer.kill9().await;
        } else {
            stop(consumer).await;
        }
        chats.each += 2;
        chats.post(&url).await;
        let left = chats.chats * chats.each - delivered(&pair).len();
        assert!(left > 50, "{left} events are queued at change {number}");
        let mut settings = of(change).to_vec();
        if number + 1 == CHANGES.len() {
            settings.push(("WEBHOOK_CONCURRENCY", "64"));
        }
        pair.add_consumer_with(&settings).await;
        chats.each += 2;
        chats.post(&url).await;
    }
    all_taken(&pair, chats).await;
    if !is_killed {
        let delivered = delivered(&pair);
        let repeated = delivered.values().filter(|count| **count > 1).count();
        // Those in flight at a stop can be delivered again.
        assert!(repeated <= 2 * CHANGES.len(), "{repeated} were repeated");
    }
}

fn of((order, lanes): (&'static str, &'static str)) -> [(&'static str, &'static str); 2] {
    [("WEBHOOK_ORDER", order), ("WEBHOOK_LANES", lanes)]
}

/// Returns the number of deliveries of each event that succeeded.
fn delivered(pair: &Pair) -> BTreeMap<(u64, u64), usize> {
    let mut delivered = BTreeMap::new();
    for post in pair.receiver.posts() {
        if !fails_once(&post) {
            *delivered.entry(event_of(&post)).or_default() += 1;
        }
    }
    delivered
}
