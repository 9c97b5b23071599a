//! Owners of lanes that stop, are killed, freeze or are paused.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wahook_tests::chats::{Chats, event_of, fails_once};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Pair;
use wahook_tests::receiver::{Answer, Post, Receiver};
use wahook_tests::tcp_proxy::{Network, TcpProxy};
use wahook_tests::world::{Test, Tests};

use crate::circuit::until_paused;

const SETTINGS: [(&str, &str); 4] = [
    ("WEBHOOK_ORDER", "chat"),
    ("WEBHOOK_LANES", "3"),
    ("WEBHOOK_RETRY_DELAY", "200"),
    ("WEBHOOK_CIRCUIT", "off"),
];
const CHATS: Chats = Chats {
    chats: 60,
    each: 40,
    senders: 12,
};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "killed_owners_of_lanes_lose_nothing_and_keep_the_order",
        killed,
    );
    tests.add(
        "stopped_owners_of_lanes_repeat_nothing_and_keep_the_order",
        stopped,
    );
    tests.add("frozen_owner_of_lanes_posts_nothing_late", frozen);
    tests.add(
        "owner_of_lanes_that_only_the_broker_has_lost_posts_nothing_late",
        cut_off,
    );
    tests.add("order_is_kept_over_a_pause_of_the_endpoint", paused);
}

fn answer(post: &Post) -> Answer {
    let answer = Answer::status(if fails_once(post) { 500 } else { 200 });
    answer.after(Duration::from_millis(10))
}

/// Waits until the receiver has taken this many more events.
async fn wait_for_more(pair: &Pair, more: usize) {
    let enough = (pair.receiver.count() + more).min(CHATS.chats * CHATS.each);
    pair.receiver.wait_for(enough, AT_LAST).await;
}

async fn assert_order(pair: &Pair) -> usize {
    eventually(AT_LAST, "all events", || async {
        let found = CHATS.order(&pair.receiver.posts(), fails_once);
        (found.missing == 0).then_some(())
    })
    .await;
    let found = CHATS.order(&pair.receiver.posts(), fails_once);
    assert!(found.is_kept(), "{found}");
    let posts = pair.receiver.posts();
    let expected = CHATS.chats * CHATS.each + posts.iter().filter(|post| fails_once(post)).count();
    found.posts - expected
}

async fn killed(test: Test) {
    let pair = test
        .pair(Receiver::answering(answer).await, &SETTINGS)
        .await;
    pair.add_consumer().await;
    let url = pair.producer.base_url();
    let posting = tokio::spawn(async move { CHATS.post(&url).await });
    for _ in 0..4 {
        wait_for_more(&pair, 250).await;
        let owner = pair.consumers.lock().unwrap().remove(0);
        owner.kill9().await;
        pair.add_consumer().await;
    }
    posting.await.unwrap();
    let repeats = assert_order(&pair).await;
    // Each killed owner had at most its concurrency in flight.
    println!("{repeats} repeats");
}

async fn stopped(test: Test) {
    let pair = test
        .pair(Receiver::answering(answer).await, &SETTINGS)
        .await;
    pair.add_consumer().await;
    let url = pair.producer.base_url();
    let posting = tokio::spawn(async move { CHATS.post(&url).await });
    for _ in 0..3 {
        wait_for_more(&pair, 300).await;
        let owner = pair.consumers.lock().unwrap().remove(0);
        owner.terminate();
        assert!(owner.wait_exit(AT_LAST).await.success());
        pair.add_consumer().await;
    }
    posting.await.unwrap();
    assert_eq!(assert_order(&pair).await, 0, "repeats");
}

async fn frozen(test: Test) {
    let pair = test
        .pair(Receiver::answering(answer).await, &SETTINGS)
        .await;
    pair.add_consumer().await;
    let url = pair.producer.base_url();
    let posting = tokio::spawn(async move { CHATS.post(&url).await });
    wait_for_more(&pair, 300).await;
    let owner = pair.consumers.lock().unwrap().remove(0);
    owner.freeze();
    // The broker notices it by its missing heartbeats.
    wait_for_more(&pair, 900).await;
    owner.thaw();
    posting.await.unwrap();
    assert_order(&pair).await;
    assert_nothing_late(&pair);
}

/// The broker closes its side of the owner's connection. The owner does not notice it before its
/// heartbeats time out.
async fn cut_off(test: Test) {
    let pair = test
        .pair(Receiver::answering(answer).await, &SETTINGS)
        .await;
    let (network, proxied) = TcpProxy::to_server_of(&pair.place().amqp_url).await;
    pair.take_consumer().kill9().await;
    pair.add_consumer_with(&[("AMQP_URL", &proxied)]).await;
    let url = pair.producer.base_url();
    let posting = tokio::spawn(async move { CHATS.post(&url).await });
    wait_for_more(&pair, 300).await;
    // It owns all lanes; the next consumer waits for them.
    let owner = pair.take_consumer();
    pair.add_consumer().await;
    network.set(Network::ServerReset);
    wait_for_more(&pair, 900).await;
    network.set(Network::Works);
    posting.await.unwrap();
    assert_order(&pair).await;
    assert_nothing_late(&pair);
    assert!(owner.is_running());
}

/// Of what a lost owner held, only the request of a chat that was being written may reach the
/// receiver after a later event of the chat.
fn assert_nothing_late(pair: &Pair) {
    let mut last = BTreeMap::new();
    let mut late = BTreeMap::<_, usize>::new();
    for post in pair
        .receiver
        .posts()
        .iter()
        .filter(|post| !fails_once(post))
    {
        let (chat, number) = event_of(post);
        let last = last.entry(chat).or_insert(number);
        if number < *last {
            *late.entry(chat).or_default() += 1;
        }
        *last = number.max(*last);
    }
    assert!(
        late.values().all(|posts| *posts == 1),
        "late posts: {late:?}"
    );
}

async fn paused(test: Test) {
    let is_down = Arc::new(AtomicBool::new(false));
    let taken = Arc::new(Mutex::new(Vec::new()));
    let (down, taking) = (Arc::clone(&is_down), Arc::clone(&taken));
    let receiver = Receiver::answering(move |post| {
        if down.load(Ordering::Relaxed) || fails_once(post) {
            return Answer::status(503);
        }
        taking.lock().unwrap().push(Arc::new(post.clone()));
        Answer::status(200)
    });
    let mut settings = SETTINGS;
    settings[3] = ("WEBHOOK_CIRCUIT", "on");
    // No event must be exhausted before the circuit opens.
    let settings = [&settings[..], &[("WEBHOOK_RETRY_ATTEMPTS", "10")]].concat();
    let pair = test.pair(receiver.await, &settings).await;
    pair.add_consumer().await;
    let url = pair.producer.base_url();
    let posting = tokio::spawn(async move { CHATS.post(&url).await });
    wait_for_more(&pair, 300).await;
    is_down.store(true, Ordering::Relaxed);
    until_paused(&pair).await;
    posting.await.unwrap();
    is_down.store(false, Ordering::Relaxed);
    let order = || CHATS.order(&taken.lock().unwrap(), |_| false);
    eventually(AT_LAST, "all events", || async {
        (order().missing == 0).then_some(())
    })
    .await;
    assert!(order().is_kept(), "{}", order());
}
