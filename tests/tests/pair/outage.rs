//! Pair whose producer has a spool, and reaches the broker through a network that can be cut.

use std::path::PathBuf;

use reqwest::StatusCode;
use serde_json::{Value, json};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::Pair;
use wahook_tests::program::{Metrics, Program};
use wahook_tests::receiver::Receiver;
use wahook_tests::tcp_proxy::{Network, TcpProxy};

use crate::world::Test;

/// Least limit of the spool: two events of any size.
pub(crate) const LEAST_BYTES: &str = "33554432";

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
        let one_by_one = [("WEBHOOK_CONCURRENCY", "1")];
        Self::start_with(test, max_bytes, Receiver::start().await, &one_by_one).await
    }

    pub(crate) async fn start_with(
        test: &Test,
        max_bytes: &'static str,
        receiver: Receiver,
        settings: &[(&str, &str)],
    ) -> Self {
        let (network, amqp_url) = TcpProxy::to_server_of(&test.place().amqp_url).await;
        let pair = test.pair(receiver, settings).await;
        let mut outage = Self {
            pair,
            network,
            folder: RunFolder::temporary("spool").unwrap(),
            amqp_url,
            max_bytes,
        };
        outage.restart().await;
        // It is ready before its first connection.
        let is_connected = |check: &Value| check["ok"] == true && check["detail"] == "";
        outage.wait_check(is_connected).await;
        outage
    }

    /// Starts a producer in place of the previous one.
    pub(crate) async fn restart(&mut self) {
        let path = self.path();
        self.pair.producer = Program::producer(&[
            ("AMQP_URL", &self.amqp_url),
            ("PRODUCER_SPOOL", path.to_str().unwrap()),
            ("PRODUCER_SPOOL_MAX_BYTES", self.max_bytes),
        ])
        .await;
    }

    pub(crate) fn path(&self) -> PathBuf {
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

    /// Waits until the spool has at least this number of events. Returns their number.
    pub(crate) async fn wait_events_from(&self, least: u32) -> f64 {
        let what = format!("{least} events in the spool");
        let events = |m: &Metrics| m.get("wahook_spool_events").unwrap_or_default();
        let has_them = |m: &Metrics| events(m) >= f64::from(least);
        events(
            &self
                .pair
                .producer
                .wait_metrics(&what, AT_LAST, has_them)
                .await,
        )
    }

    pub(crate) async fn wait_events(&self, events: u32) {
        let what = format!("{events} events in the spool");
        let is_it = |m: &Metrics| m.get("wahook_spool_events") == Some(f64::from(events));
        self.pair.producer.wait_metrics(&what, AT_LAST, is_it).await;
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
        eventually(AT_LAST, "all events at the receiver", || async {
            (numbers().len() >= count as usize).then_some(())
        })
        .await;
        assert_eq!(numbers(), (0..u64::from(count)).collect::<Vec<_>>());
    }

    /// Waits for a state of the readiness check `broker`.
    pub(crate) async fn wait_check(&self, is_right: impl Fn(&Value) -> bool) -> Value {
        let http = http_client().unwrap();
        let url = format!("{}/readyz", self.pair.producer.base_url());
        eventually(AT_LAST, "the expected readiness", || async {
            let answer = http.get(&url).send().await.ok()?;
            let report: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
            Some(report["checks"]["broker"].clone()).filter(&is_right)
        })
        .await
    }
}

pub(crate) fn event(n: u32) -> Value {
    json!({"event": "message_create", "data": {"n": n}, "timestamp": "2026-01-01T00:00:00.000Z"})
}
