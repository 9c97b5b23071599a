//! Lanes without an order: queues of one endpoint that all consumers share.

mod changes;
mod replaced;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use wahook_tests::chats::{Chats, fails_once};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Pair;
use wahook_tests::program::Program;
use wahook_tests::receiver::{Answer, Post, Receiver};
use wahook_tests::world::{Test, Tests};

use crate::circuit::until_paused;

/// Three lanes, and retries that are due soon.
const SETTINGS: [(&str, &str); 3] = [
    ("WEBHOOK_LANES", "3"),
    ("WEBHOOK_RETRY_DELAY", "300"),
    ("WEBHOOK_CIRCUIT", "off"),
];
const LANES: [&str; 3] = [
    "wahook.deliver.default",
    "wahook.deliver.3.1.default",
    "wahook.deliver.3.2.default",
];
const CHATS: Chats = Chats {
    chats: 60,
    each: 20,
    senders: 12,
};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "each_of_several_lanes_without_an_order_is_used_and_each_event_is_delivered_once",
        delivered_once,
    );
    tests.add(
        "killed_consumers_of_lanes_without_an_order_lose_nothing",
        killed,
    );
    tests.add(
        "events_in_lanes_without_an_order_are_delivered_after_a_pause_of_the_endpoint",
        paused,
    );
    changes::add(tests);
    replaced::add(tests);
}

fn answer(post: &Post) -> Answer {
    let answer = Answer::status(if fails_once(post) { 500 } else { 200 });
    answer.after(Duration::from_millis(10))
}

/// Returns the number of messages in each lane that no consumer holds.
async fn depths(pair: &Pair) -> Vec<u32> {
    depths_of(pair, &LANES).await.unwrap()
}

/// Waits until the endpoint is registered with its lanes. After a consumer that ends before,
/// nothing knows them.
async fn registered(pair: &Pair) {
    eventually(AT_LAST, "a registered endpoint", || async {
        let depths = depths_of(pair, &["wahook.endpoints"]).await?;
        (depths != [0]).then_some(())
    })
    .await;
}

/// Returns the number of messages in each queue that no consumer holds; `None` if one is missing.
async fn depths_of(pair: &Pair, queues: &[&str]) -> Option<Vec<u32>> {
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&pair.place().amqp_url, properties).await;
    let connection = connection.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let mut depths = Vec::new();
    for queue in queues {
        let declared = channel.queue_declare((*queue).into(), passive, FieldTable::default());
        let Ok(declared) = declared.await else {
            break;
        };
        depths.push(declared.message_count());
    }
    connection.close(200, "read".into()).await.unwrap();
    (depths.len() == queues.len()).then_some(depths)
}

/// Waits until the lanes are empty: RabbitMQ counts a message until its ack is replicated.
async fn emptied(pair: &Pair) {
    eventually(AT_LAST, "empty lanes", || async {
        (depths(pair).await == [0; 3]).then_some(())
    })
    .await;
}

async fn all_taken(pair: &Pair, chats: Chats) {
    eventually(AT_LAST, "all events", || async {
        let found = chats.order(&pair.receiver.posts(), fails_once);
        (found.missing == 0).then_some(())
    })
    .await;
}

async fn stop(consumer: Program) {
    consumer.terminate();
    assert!(consumer.wait_exit(AT_LAST).await.success());
}

async fn delivered_once(test: Test) {
    let pair = test
        .pair(Receiver::answering(answer).await, &SETTINGS)
        .await;
    pair.add_consumer().await;
    CHATS.post(&pair.producer.base_url()).await;
    all_taken(&pair, CHATS).await;
    let failed = |posts: &[Arc<Post>]| posts.iter().filter(|post| fails_once(post)).count();
    let expected = CHATS.chats * CHATS.each;
    let posts = pair.receiver.posts();
    assert_eq!(posts.len(), expected + failed(&posts));

    stop(pair.take_consumer()).await;
    stop(pair.take_consumer()).await;
    let more = Chats { each: 25, ..CHATS };
    more.post(&pair.producer.base_url()).await;
    let depths = depths(&pair).await;
    assert!(depths.iter().all(|depth| *depth > 0), "{depths:?}");
    let queued = more.chats * more.each - expected;
    assert_eq!(depths.iter().sum::<u32>() as usize, queued, "{depths:?}");
    pair.add_consumer().await;
    all_taken(&pair, more).await;
    let posts = pair.receiver.posts();
    assert_eq!(posts.len(), expected + queued + failed(&posts));
}

async fn killed(test: Test) {
    let pair = test
        .pair(Receiver::answering(answer).await, &SETTINGS)
        .await;
    pair.add_consumer().await;
    let url = pair.producer.base_url();
    let posting = tokio::spawn(async move { CHATS.post(&url).await });
    for _ in 0..4 {
        let enough = (pair.receiver.count() + 250).min(CHATS.chats * CHATS.each);
        pair.receiver.wait_for(enough, AT_LAST).await;
        let consumer = pair.consumers.lock().unwrap().remove(0);
        consumer.kill9().await;
        pair.add_consumer().await;
    }
    posting.await.unwrap();
    all_taken(&pair, CHATS).await;
    emptied(&pair).await;
}

async fn paused(test: Test) {
    let is_down = Arc::new(AtomicBool::new(false));
    let down = Arc::clone(&is_down);
    let receiver = Receiver::answering(move |post| {
        let fails = fails_once(post) || down.load(Ordering::Relaxed);
        Answer::status(if fails { 503 } else { 200 })
    });
    let mut settings = SETTINGS;
    settings[2] = ("WEBHOOK_CIRCUIT", "on");
    // No event must be exhausted before the circuit opens.
    let settings = [&settings[..], &[("WEBHOOK_RETRY_ATTEMPTS", "10")]].concat();
    let pair = test.pair(receiver.await, &settings).await;
    pair.add_consumer().await;
    let url = pair.producer.base_url();
    let posting = tokio::spawn(async move { CHATS.post(&url).await });
    pair.receiver.wait_for(300, AT_LAST).await;
    is_down.store(true, Ordering::Relaxed);
    until_paused(&pair).await;
    posting.await.unwrap();
    is_down.store(false, Ordering::Relaxed);
    let delivered = mongodb::bson::doc! {"status": "success"};
    eventually(AT_LAST, "all deliveries", || async {
        let count = pair.log().count_documents(delivered.clone()).await.ok()?;
        (count == (CHATS.chats * CHATS.each) as u64).then_some(())
    })
    .await;
}
