//! Keys with more events behind a failing one than an owner holds of its lane.

use std::time::Duration;

use wahook_tests::blocked_chat::BlockedChat;
use wahook_tests::chats::event_of;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Pair;
use wahook_tests::program::{Metrics, Program};
use wahook_tests::receiver::{Answer, Receiver};
use wahook_tests::world::{Test, Tests};

/// One lane, and events that are retried until they are delivered.
const SETTINGS: [(&str, &str); 5] = [
    ("WEBHOOK_ORDER", "chat"),
    ("WEBHOOK_LANES", "1"),
    ("WEBHOOK_ON_EXHAUSTED", "hold"),
    ("WEBHOOK_RETRY_DELAY", "500"),
    ("WEBHOOK_CIRCUIT", "off"),
];

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_chat_with_thousands_of_events_behind_a_failing_one_blocks_no_other",
        others_are_delivered,
    );
    tests.add(
        "killed_owners_of_parked_events_lose_nothing_and_keep_the_order",
        killed,
    );
    tests.add(
        "a_chat_that_waits_for_a_rate_limit_is_not_parked",
        rate_limited,
    );
    tests.add("a_chat_behind_a_slow_attempt_is_parked", slow);
}

/// Returns the sum of a metric over all consumers.
async fn sum(pair: &Pair, metric: &str) -> f64 {
    let urls: Vec<_> = {
        let consumers = pair.consumers.lock().unwrap();
        consumers.iter().map(Program::base_url).collect()
    };
    let mut sum = 0.0;
    for url in urls {
        let text = reqwest::get(format!("{url}/metrics")).await.unwrap();
        sum += Metrics::parse(&text.text().await.unwrap())
            .unwrap()
            .sum(metric);
    }
    sum
}

async fn until(pair: &Pair, metric: &str, is_reached: impl Fn(f64) -> bool) {
    eventually(AT_LAST, metric, || async {
        is_reached(sum(pair, metric).await).then_some(())
    })
    .await;
}

async fn others_are_delivered(test: Test) {
    let chats = BlockedChat::new(2_020, 20, 20);
    let pair = test.pair(chats.receiver().await, &SETTINGS).await;
    pair.add_consumer().await;
    let url = pair.producer.base_url();
    chats.post_first(&url, 0..2_000).await;
    chats.post_others(&url).await;
    chats.until_taken(0, AT_LAST).await;
    until(&pair, "wahook_lane_parked_keys", |keys| keys == 1.0).await;
    until(&pair, "wahook_lane_parked_events", |events| {
        events > 1_000.0
    })
    .await;
    chats.repair();
    chats.until_taken(2_000, AT_LAST).await;
    // The key is back in the lane, which works as before.
    until(&pair, "wahook_lane_parked_keys", |keys| keys == 0.0).await;
    chats.fail(2_010);
    chats.post_first(&url, 2_000..2_020).await;
    chats.until_taken(2_010, AT_LAST).await;
    chats.repair();
    chats.until_taken(chats.many, AT_LAST).await;
    let found = chats.order(&pair.receiver.posts());
    assert!(found.is_kept(), "{found}");
}

async fn kill_one(pair: &Pair) {
    let owner = pair.consumers.lock().unwrap().remove(0);
    owner.kill9().await;
    pair.add_consumer().await;
}

async fn killed(test: Test) {
    let chats = BlockedChat::new(1_500, 20, 20);
    let pair = test.pair(chats.receiver().await, &SETTINGS).await;
    pair.add_consumer().await;
    let url = pair.producer.base_url();
    let posting = {
        let chats = chats.clone();
        tokio::spawn(async move {
            chats.post_first(&url, 0..chats.many).await;
            chats.post_others(&url).await;
        })
    };
    until(&pair, "wahook_lane_parked_keys", |keys| keys == 1.0).await;
    for _ in 0..4 {
        kill_one(&pair).await;
        until(&pair, "wahook_lane_parked_keys", |keys| keys == 1.0).await;
    }
    posting.await.unwrap();
    chats.until_taken(0, AT_LAST).await;
    // Then the lane has no message: its next owner learns of the parked events by a marker.
    chats.fail(700);
    chats.until_taken(700, AT_LAST).await;
    for _ in 0..3 {
        kill_one(&pair).await;
        let before = pair.receiver.count();
        pair.receiver.wait_for(before + 2, AT_LAST).await;
    }
    chats.repair();
    chats.until_taken(chats.many, AT_LAST).await;
    let found = chats.order(&pair.receiver.posts());
    assert!(found.is_kept(), "{found}");
    until(&pair, "wahook_lane_parked_keys", |keys| keys == 0.0).await;
}

/// Returns true if a consumer has parked a chat.
fn has_parked(pair: &Pair) -> bool {
    let consumers = pair.consumers.lock().unwrap();
    let mut logs = consumers.iter().map(Program::stderr_so_far);
    logs.any(|log| log.contains("events of a key are parked"))
}

async fn rate_limited(test: Test) {
    let chats = BlockedChat::new(200, 0, 0);
    chats.repair();
    let mut settings = SETTINGS.to_vec();
    settings.push(("WEBHOOK_RATE_LIMIT", "2"));
    let pair = test.pair(chats.receiver().await, &settings).await;
    chats.post_first(&pair.producer.base_url(), 0..200).await;
    until(&pair, "wahook_lane_events", |events| events > 70.0).await;
    // Each of the next events waits for longer than an attempt may take.
    let before = pair.receiver.count();
    pair.receiver.wait_for(before + 4, AT_LAST).await;
    assert!(sum(&pair, "wahook_lane_events").await > 65.0);
    assert!(!has_parked(&pair));
}

async fn slow(test: Test) {
    let receiver = Receiver::answering(|post| {
        let is_first = event_of(post) == (0, 0);
        Answer::status(200).after(Duration::from_secs(if is_first { 15 } else { 0 }))
    });
    let pair = test.pair(receiver.await, &SETTINGS).await;
    let chats = BlockedChat::new(100, 0, 0);
    chats.post_first(&pair.producer.base_url(), 0..100).await;
    let posts = pair.receiver.wait_for(100, AT_LAST).await;
    assert!(has_parked(&pair));
    let found = chats.order(&posts);
    assert!(found.is_kept(), "{found}");
}
