//! Store and forward: the producer accepts events while the broker is unreachable.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use wahook_tests::eventually::eventually;
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::Pair;
use wahook_tests::program::{Metrics, Program};
use wahook_tests::receiver::Receiver;
use wahook_tests::tcp_proxy::{Network, TcpProxy};

use crate::world::{Test, Tests};

pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Least limit of the spool: two events of any size.
pub(crate) const LEAST_BYTES: &str = "33554432";

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "events_of_a_broker_outage_are_spooled_and_forwarded_in_order",
        outage,
    );
    tests.add(
        "a_killed_producer_forwards_its_spool_after_a_restart",
        killed,
    );
    tests.add("a_stopped_producer_keeps_its_spool", stopped);
    tests.add(
        "a_spooled_event_without_an_endpoint_is_dropped_once_the_broker_says_so",
        unwanted,
    );
    tests.add(
        "a_broker_without_queues_gets_its_spool_after_a_consumer_starts",
        no_queue,
    );
}

/// Pair whose producer reaches the broker through a network that can be cut.
pub(crate) struct Outage {
    pub(crate) pair: Pair,
    pub(crate) network: TcpProxy,
    folder: RunFolder,
    amqp_url: String,
    max_bytes: &'static str,
}

impl Outage {
    /// Starts a pair that delivers one event after the other.
    pub(crate) async fn start(test: &Test, max_bytes: &'static str) -> Self {
        let place = test.place();
        let port = port_of(&place.amqp_url);
        let network = TcpProxy::to(port).await;
        let amqp_url = place
            .amqp_url
            .replace(&format!(":{port}/"), &format!(":{}/", network.port()));
        let one_by_one = [("WEBHOOK_CONCURRENCY", "1")];
        let pair = test.pair(Receiver::start().await, &one_by_one).await;
        let mut outage = Self {
            pair,
            network,
            folder: RunFolder::temporary("spool").unwrap(),
            amqp_url,
            max_bytes,
        };
        outage.restart().await;
        outage.pair.producer.wait_ready(SOON).await;
        outage
    }

    /// Starts a producer in place of the previous one.
    async fn restart(&mut self) {
        let path = self.path();
        self.pair.producer = Program::producer(&[
            ("AMQP_URL", &self.amqp_url),
            ("PRODUCER_SPOOL", path.to_str().unwrap()),
            ("PRODUCER_SPOOL_MAX_BYTES", self.max_bytes),
        ])
        .await;
    }

    fn path(&self) -> PathBuf {
        self.folder.join("spool.db")
    }

    /// Cuts the network, and waits until the producer has noticed.
    pub(crate) async fn cut(&self) {
        self.network.set(Network::Cut);
        let note = self.wait_check(|check| check["detail"] != "").await;
        assert_eq!(note["ok"], true, "{note}");
    }

    /// Posts events with these numbers, one after the other.
    pub(crate) async fn post(&self, numbers: std::ops::Range<u32>) {
        for n in numbers {
            let answer = self.pair.post(&event(n)).await;
            assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        }
    }

    pub(crate) async fn wait_events(&self, events: u32) {
        let what = format!("{events} events in the spool");
        let is_it = |m: &Metrics| m.get("wahook_spool_events") == Some(f64::from(events));
        self.pair.producer.wait_metrics(&what, SOON, is_it).await;
    }

    /// Asserts that the receiver gets these numbers, each for the first time in this order.
    pub(crate) async fn assert_delivered(&self, count: u32) {
        let numbers = || {
            let mut numbers: Vec<u64> = Vec::new();
            for post in self.pair.receiver.posts() {
                let body: Value = serde_json::from_slice(&post.body).unwrap();
                let n = body["data"]["n"].as_u64().unwrap();
                if !numbers.contains(&n) {
                    numbers.push(n);
                }
            }
            numbers
        };
        eventually(SOON, "all events at the receiver", || async {
            (numbers().len() >= count as usize).then_some(())
        })
        .await;
        assert_eq!(numbers(), (0..u64::from(count)).collect::<Vec<_>>());
    }

    /// Waits for a state of the readiness check `broker`.
    pub(crate) async fn wait_check(&self, is_right: impl Fn(&Value) -> bool) -> Value {
        let http = http_client().unwrap();
        let url = format!("{}/readyz", self.pair.producer.base_url());
        eventually(SOON, "the expected readiness", || async {
            let answer = http.get(&url).send().await.ok()?;
            let report: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
            Some(report["checks"]["broker"].clone()).filter(&is_right)
        })
        .await
    }
}

fn port_of(amqp_url: &str) -> u16 {
    let address = amqp_url.rsplit('@').next().unwrap();
    let port = address.split(['/', ':']).nth(1).unwrap();
    port.parse().unwrap()
}

pub(crate) fn event(n: u32) -> Value {
    json!({"event": "message_create", "data": {"n": n}, "timestamp": "2026-01-01T00:00:00.000Z"})
}

async fn outage(test: Test) {
    let outage = Outage::start(&test, LEAST_BYTES).await;
    outage.post(0..3).await;
    outage.cut().await;
    outage.post(3..30).await;
    let repeated = outage.pair.post(&event(7)).await;
    assert_eq!(repeated.status, StatusCode::OK);
    assert_eq!(repeated.json()["duplicate"], true);
    outage.wait_events(27).await;
    let check = outage.wait_check(|check| check["ok"] == true).await;
    let detail = check["detail"].as_str().unwrap();
    assert!(detail.contains("27 events"), "{detail}");

    outage.network.set(Network::Works);
    outage.wait_events(0).await;
    outage.wait_check(|check| check["detail"] == "").await;
    outage.post(30..33).await;
    outage.assert_delivered(33).await;
    assert_eq!(outage.pair.receiver.count(), 33, "no repeats");
    let metrics = outage.pair.producer.metrics().await;
    for (name, value) in [
        ("wahook_spool_stored_total", 27.0),
        ("wahook_spool_forwarded_total", 27.0),
        ("wahook_spool_bytes", 0.0),
        ("wahook_spool_max_bytes", 33_554_432.0),
        ("wahook_events_accepted_total", 33.0),
        ("wahook_events_duplicate_total", 1.0),
    ] {
        assert_eq!(metrics.get(name), Some(value), "{name}");
    }
    let log = outage.pair.producer.stderr_so_far();
    for part in ["storing them in the spool", "spool empty"] {
        assert_eq!(log.matches(part).count(), 1, "{part} in {log}");
    }
    let mode = fs::metadata(outage.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

async fn killed(test: Test) {
    let mut outage = Outage::start(&test, LEAST_BYTES).await;
    outage.cut().await;
    outage.post(0..20).await;
    outage.pair.producer.kill9().await;
    outage.restart().await;
    outage.wait_events(20).await;
    outage.post(20..25).await;
    outage.pair.producer.kill9().await;
    // The broker is back before the producer: new events still wait behind the spooled ones.
    outage.network.set(Network::Works);
    outage.restart().await;
    outage.post(25..30).await;
    outage.assert_delivered(30).await;
    outage.wait_events(0).await;
}

async fn stopped(test: Test) {
    let mut outage = Outage::start(&test, LEAST_BYTES).await;
    outage.cut().await;
    outage.post(0..10).await;
    outage.pair.producer.terminate();
    let status = outage.pair.producer.wait_exit(SOON).await;
    assert_eq!(status.code(), Some(0));
    outage.network.set(Network::Works);
    outage.restart().await;
    outage.assert_delivered(10).await;
}

async fn unwanted(test: Test) {
    let outage = Outage::start(&test, LEAST_BYTES).await;
    // The only endpoint of this consumer wants other events.
    let file = outage.folder.join("endpoints.toml");
    let url = outage.pair.receiver.url();
    let endpoints =
        format!("[[endpoint]]\nname = \"default\"\nurl = \"{url}\"\nevents = [\"call\"]\n");
    fs::write(&file, endpoints).unwrap();
    outage.pair.take_consumer().kill9().await;
    let place = outage.pair.place();
    let consumer = Program::consumer(&[
        ("AMQP_URL", &place.amqp_url),
        ("MONGODB_URI", &place.mongodb_uri),
        ("MONGODB_DATABASE", &place.database),
        ("WEBHOOK_ENDPOINTS", file.to_str().unwrap()),
    ])
    .await;
    consumer.wait_ready(SOON).await;
    outage.cut().await;
    for n in 0..20 {
        let name = if n % 2 == 0 { "call" } else { "message_create" };
        let event = json!({"event": name, "data": {"n": n}});
        let answer = outage.pair.post(&event).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED);
    }
    outage.network.set(Network::Works);
    outage.wait_events(0).await;
    let metrics = outage.pair.producer.metrics().await;
    assert_eq!(metrics.get("wahook_spool_unwanted_total"), Some(10.0));
    assert_eq!(metrics.get("wahook_spool_forwarded_total"), Some(10.0));
    let posts = outage.pair.receiver.wait_for(10, SOON).await;
    assert!(posts.iter().all(|post| post.event() == Some("call")));
    assert_eq!(posts.len(), 10, "no repeats");
}

async fn no_queue(test: Test) {
    let place = test.place();
    let folder = RunFolder::temporary("spool-early").unwrap();
    let path = folder.join("spool.db");
    let network = TcpProxy::to(port_of(&place.amqp_url)).await;
    let port = port_of(&place.amqp_url);
    let amqp_url = place
        .amqp_url
        .replace(&format!(":{port}/"), &format!(":{}/", network.port()));
    network.set(Network::Cut);
    let producer = Program::producer(&[
        ("AMQP_URL", &amqp_url),
        ("PRODUCER_SPOOL", path.to_str().unwrap()),
    ])
    .await;
    let http = http_client().unwrap();
    let url = format!("{}/v1/events", producer.base_url());
    let request = http.post(&url).header("content-type", "application/json");
    let answer = request.body(event(0).to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    network.set(Network::Works);
    eventually(SOON, "a failed attempt", || async {
        producer
            .stderr_so_far()
            .contains("no queue is bound")
            .then_some(())
    })
    .await;
    let pair = test.pair(Receiver::start().await, &[]).await;
    let posts = pair.receiver.wait_for(1, SOON).await;
    assert_eq!(posts[0].event(), Some("message_create"));
}
