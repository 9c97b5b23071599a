//! Lanes without an order: queues of one endpoint that all consumers share.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use serde_json::Value;
use wahook_tests::chats::{Chats, event_of, fails_once};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::pair::Pair;
use wahook_tests::program::{Command, Program, ProgramName, Ran};
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
    for is_killed in [false, true] {
        let how = if is_killed { "kills" } else { "stops" };
        tests.add(
            format!("events_are_delivered_after_changes_of_order_and_lanes_with_{how}"),
            move |test| changed(test, is_killed),
        );
    }
    tests.add(
        "events_in_lanes_without_an_order_are_counted_and_moved_to_another_endpoint",
        moved,
    );
    tests.add(
        "events_in_lanes_without_an_order_are_counted_and_dropped",
        dropped,
    );
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

/// Queued events of an endpoint that was replaced by another one.
struct Replaced {
    pair: Pair,
    endpoints: PathBuf,
    _folder: RunFolder,
}

impl Replaced {
    /// Queues events in three lanes, and starts a consumer with the endpoint `other` instead.
    async fn start(test: &Test) -> Self {
        let pair = test.pair(Receiver::start().await, &SETTINGS).await;
        registered(&pair).await;
        stop(pair.take_consumer()).await;
        CHATS.post(&pair.producer.base_url()).await;
        let depths = depths(&pair).await;
        assert!(depths.iter().all(|depth| *depth > 0), "{depths:?}");
        let folder = RunFolder::temporary("endpoints").unwrap();
        let endpoints = folder.join("endpoints.toml");
        let (url, no) = (pair.receiver.url(), "events = [\"order.*\"]");
        let file = format!("[[endpoint]]\nname = \"other\"\nurl = \"{url}\"\n{no}\n");
        fs::write(&endpoints, file).unwrap();
        let replaced = Self {
            pair,
            endpoints,
            _folder: folder,
        };
        let file = replaced.endpoints.display().to_string();
        let other = [
            ("WEBHOOK_ENDPOINTS", file.as_str()),
            ("WEBHOOK_URL", ""),
            ("WEBHOOK_SECRET", ""),
            ("WEBHOOK_LANES", ""),
            ("WEBHOOK_RETRY_DELAY", ""),
        ];
        replaced.pair.add_consumer_with(&other).await;
        replaced
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let file = self.endpoints.display().to_string();
        let place = self.pair.place();
        let settings = [
            ("AMQP_URL", place.amqp_url.as_str()),
            ("MONGODB_URI", place.mongodb_uri.as_str()),
            ("MONGODB_DATABASE", place.database.as_str()),
            ("WEBHOOK_ENDPOINTS", file.as_str()),
        ];
        let command = Command::start(ProgramName::Consumer, arguments, &settings);
        command.await.finish().await
    }

    /// Returns a value that the command `endpoints list` shows of the replaced endpoint.
    async fn listed(&self, value: &str) -> Value {
        let listed = self.run(&["endpoints", "list", "--json"]).await;
        let lines = listed.printed().lines();
        let rows = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut rows = rows.filter(|row| row["endpoint"] == "default");
        rows.next().unwrap()[value].clone()
    }
}

async fn moved(test: Test) {
    let replaced = Replaced::start(&test).await;
    let events = CHATS.chats * CHATS.each;
    assert_eq!(replaced.listed("queued").await, events);
    let moved = replaced
        .run(&["endpoints", "move", "default", "other"])
        .await;
    let expected = format!("{events} events of default moved");
    assert!(moved.printed().contains(&expected), "{moved:?}");
    let receiver = &replaced.pair.receiver;
    receiver.wait_for(events, AT_LAST).await;
    let posts = receiver.posts();
    let taken: BTreeSet<_> = posts.iter().map(|post| event_of(post)).collect();
    assert_eq!((posts.len(), taken.len()), (events, events));
    emptied(&replaced.pair).await;
    // The bindings are removed. No endpoint wants the event.
    let more = Chats { each: 21, ..CHATS };
    more.post(&replaced.pair.producer.base_url()).await;
    assert_eq!(depths(&replaced.pair).await, [0; 3]);
}

async fn dropped(test: Test) {
    let replaced = Replaced::start(&test).await;
    let events = CHATS.chats * CHATS.each;
    let dropped = replaced
        .run(&["endpoints", "drop", "default", "--yes"])
        .await;
    let expected = format!("{events} events of default made dead letters");
    assert!(dropped.printed().contains(&expected), "{dropped:?}");
    emptied(&replaced.pair).await;
    assert_eq!(replaced.listed("queued").await, 0);
    assert_eq!(replaced.listed("dead_letters").await, events);
    let redrive = ["dead", "redrive", "--endpoint", "default", "--to", "other"];
    let redriven = replaced.run(&redrive).await;
    let expected = format!("{events} of {events} dead letters redriven");
    assert!(redriven.printed().contains(&expected), "{redriven:?}");
    replaced.pair.receiver.wait_for(events, AT_LAST).await;
}
