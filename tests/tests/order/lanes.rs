//! Lanes: divided among the consumers, and served until they are empty after a change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wahook_tests::chats::{Chats, event_of};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Pair;
use wahook_tests::program::Program;
use wahook_tests::receiver::{Answer, Post, Receiver};
use wahook_tests::world::{Test, Tests};

const CHATS: Chats = Chats {
    chats: 120,
    each: 10,
    senders: 12,
};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "twelve_lanes_are_divided_evenly_among_three_consumers",
        divided_evenly,
    );
    for (before, after) in [
        ("2", "chat 3"),
        ("3", "none"),
        ("1", "none"),
        ("1", "chat 2"),
    ] {
        tests.add(
            format!("events_in_{before}_lanes_are_delivered_after_a_change_to_{after}"),
            move |test| delivered_after_a_change(test, before, after),
        );
    }
}

/// Returns the number of lanes that each consumer owns.
async fn owned(pair: &Pair) -> Vec<f64> {
    let urls: Vec<String> = {
        let consumers = pair.consumers.lock().unwrap();
        consumers.iter().map(Program::base_url).collect()
    };
    let mut owned = Vec::new();
    for url in urls {
        let text = reqwest::get(format!("{url}/metrics")).await.unwrap();
        let text = text.text().await.unwrap();
        let lanes = text
            .lines()
            .filter(|line| line.starts_with("wahook_lane_owned{"));
        owned.push(
            lanes
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum(),
        );
    }
    owned
}

async fn divided_evenly(test: Test) {
    let settings = [("WEBHOOK_ORDER", "chat"), ("WEBHOOK_LANES", "12")];
    let pair = test.pair(Receiver::start().await, &settings).await;
    CHATS.post(&pair.producer.base_url()).await;
    eventually(AT_LAST, "twelve lanes", || async {
        (owned(&pair).await == [12.0]).then_some(())
    })
    .await;
    pair.add_consumer().await;
    pair.add_consumer().await;
    let started = Instant::now();
    // A consumer learns that it owns a lane by its next message.
    let mut chats = CHATS;
    while owned(&pair).await != [4.0; 3] {
        assert!(started.elapsed() < AT_LAST, "{:?}", owned(&pair).await);
        chats.each += 1;
        chats.post(&pair.producer.base_url()).await;
    }
    println!("divided after {:?}", started.elapsed());
    let all = |posts: &[Arc<Post>]| chats.order(posts, |_| false).missing == 0;
    let posts = pair.receiver.wait_until("all events", AT_LAST, all);
    let found = chats.order(&posts.await, |_| false);
    assert!(found.is_kept(), "{found}");
}

/// Each event that is queued at the change, and each one after it, is delivered once.
async fn delivered_after_a_change(test: Test, lanes: &str, after: &'static str) {
    let first = [("WEBHOOK_ORDER", "chat"), ("WEBHOOK_LANES", lanes)];
    let receiver = Receiver::answering(|_| Answer::status(200).after(Duration::from_millis(100)));
    let mut settings = first.to_vec();
    settings.push(("WEBHOOK_CONCURRENCY", "2"));
    let pair = test.pair(receiver.await, &settings).await;
    let before = Chats { each: 5, ..CHATS };
    before.post(&pair.producer.base_url()).await;
    let old = pair.take_consumer();
    old.terminate();
    assert!(old.wait_exit(AT_LAST).await.success());
    let left = CHATS.chats * before.each - pair.receiver.count();
    assert!(left > 100, "{left} events are queued");
    let (order, lanes) = after.split_once(' ').unwrap_or((after, ""));
    let changed = [
        ("WEBHOOK_ORDER", order),
        ("WEBHOOK_LANES", lanes),
        ("WEBHOOK_CONCURRENCY", "64"),
    ];
    pair.add_consumer_with(&changed).await;
    let all = Chats { each: 10, ..CHATS };
    all.post(&pair.producer.base_url()).await;
    let count = |expected: usize| {
        let mut posts: BTreeMap<(u64, u64), usize> = BTreeMap::new();
        for post in pair.receiver.posts() {
            *posts.entry(event_of(&post)).or_default() += 1;
        }
        let repeated = posts.values().filter(|count| **count > 1).count();
        (posts.len() == expected).then_some(repeated)
    };
    let expected = all.chats * all.each;
    let repeated = eventually(AT_LAST, "all events", || async { count(expected) }).await;
    // A message in flight at the stop can be delivered again.
    assert!(repeated <= 4, "{repeated} events were repeated");
}
