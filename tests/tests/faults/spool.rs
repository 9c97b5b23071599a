//! Store and forward, with a broker that is stopped and a producer that is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::Servers;
use wahook_tests::ports::free_port;
use wahook_tests::program::Program;
use wahook_tests::receiver::Receiver;

use crate::BROKER_SETTLES;
use crate::oracle::assert_all_arrived;

const SENDERS: u32 = 4;
/// Pause of a sender after each event: 200 events a second together.
const PAUSE: Duration = Duration::from_millis(20);

/// Senders that never retry, each on its own connection.
struct Senders {
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicU32>,
    tasks: JoinSet<Vec<String>>,
}

impl Senders {
    fn start(base_url: &str) -> Self {
        let (stop, accepted) = (Arc::default(), Arc::default());
        let mut tasks = JoinSet::new();
        for sender in 0..SENDERS {
            let url = format!("{base_url}/v1/events");
            tasks.spawn(send(sender, url, Arc::clone(&stop), Arc::clone(&accepted)));
        }
        Self {
            stop,
            accepted,
            tasks,
        }
    }

    async fn more_accepted(&self, more: u32) {
        let enough = self.accepted.load(Ordering::Relaxed) + more;
        eventually(AT_LAST, "more accepted events", || async {
            (self.accepted.load(Ordering::Relaxed) >= enough).then_some(())
        })
        .await;
    }

    /// Returns the accepted ids of each sender, in their order.
    async fn stop(self) -> Vec<Vec<String>> {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await
    }
}

async fn send(
    sender: u32,
    url: String,
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicU32>,
) -> Vec<String> {
    let http = http_client().unwrap();
    let mut ids = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let id = format!("{sender}-{n}");
        let body = json!({"event": "message_create", "data": {"sender": sender, "n": n}});
        let request = http.post(&url).header("content-type", "application/json");
        let request = request.header("idempotency-key", &id);
        let answer = request.body(body.to_string()).send().await;
        if answer.is_ok_and(|answer| answer.status() == StatusCode::ACCEPTED) {
            accepted.fetch_add(1, Ordering::Relaxed);
            ids.push(id);
        }
        sleep(PAUSE).await;
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_broker_and_a_killed_producer_with_a_spool_lose_no_event_and_no_order() {
    let servers = Servers::start().await;
    let one_by_one = [("WEBHOOK_CONCURRENCY", "1")];
    let mut pair = servers.pair(Receiver::start().await, &one_by_one).await;
    let folder = RunFolder::temporary("spool").unwrap();
    let spool = folder.join("spool.db");
    let listen = format!("127.0.0.1:{}", free_port().unwrap());
    let amqp_url = servers.rabbitmq.amqp_url();
    let settings = [
        ("AMQP_URL", amqp_url.as_str()),
        ("PRODUCER_LISTEN", listen.as_str()),
        ("PRODUCER_SPOOL", spool.to_str().unwrap()),
    ];
    pair.producer = Program::producer(&settings).await;
    pair.producer.wait_ready(AT_LAST).await;
    sleep(BROKER_SETTLES).await;
    let senders = Senders::start(&format!("http://{listen}"));
    senders.more_accepted(200).await;
    // The order of the queue is checked. A consumer that loses its connection returns messages,
    // which may change places.
    let consumer = pair.take_consumer();
    consumer.terminate();
    consumer.wait_exit(AT_LAST).await;
    servers.rabbitmq.stop().await;
    senders.more_accepted(800).await;
    pair.producer.kill9().await;
    pair.producer = Program::producer(&settings).await;
    senders.more_accepted(800).await;
    servers.rabbitmq.restart().await;
    pair.producer
        .wait_metrics("an empty spool", AT_LAST, |m| {
            m.get("wahook_spool_events") == Some(0.0)
                && m.get("wahook_spool_forwarded_total") > Some(800.0)
        })
        .await;
    senders.more_accepted(200).await;
    let accepted = senders.stop().await;
    pair.add_consumer().await;
    let all: BTreeSet<String> = accepted.iter().flatten().cloned().collect();
    assert_all_arrived(&servers, &pair, &all, AT_LAST).await;
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for (at, post) in pair.receiver.posts().iter().enumerate() {
        first.entry(post.id().unwrap().to_owned()).or_insert(at);
    }
    for ids in accepted {
        let overtaken = ids
            .windows(2)
            .find(|pair| first[&pair[0]] > first[&pair[1]]);
        let arrived = overtaken.map(|pair| (first[&pair[0]], first[&pair[1]]));
        assert_eq!(overtaken, None, "arrived at {arrived:?} of {}", first.len());
    }
}
