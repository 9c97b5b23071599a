//! Producer and consumers with a shared endpoints file.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockReadGuard};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::Place;
use wahook_tests::program::{Metrics, Program};

use crate::world::Test;

/// Read-locked by each test while it runs; write-locked by tests that measure speed.
pub(crate) static MACHINE: RwLock<()> = RwLock::const_new(());

pub(crate) struct Several {
    pub(crate) producer: Program,
    pub(crate) consumers: Vec<Program>,
    pub(crate) place: Place,
    folder: RunFolder,
    http: reqwest::Client,
    log: Collection<Document>,
    channel: Channel,
    _machine: Option<RwLockReadGuard<'static, ()>>,
    /// Keeps the connection of the channel open.
    _connection: Connection,
}

impl Several {
    /// Starts a producer and consumers with these endpoints.
    pub(crate) async fn start(test: &Test, consumers: usize, endpoints: &str) -> Self {
        Self::start_with(test, consumers, endpoints, &[]).await
    }

    pub(crate) async fn start_with(
        test: &Test,
        consumers: usize,
        endpoints: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let machine = MACHINE.read().await;
        let several = Self::start_alone(test, consumers, endpoints, settings).await;
        Self {
            _machine: Some(machine),
            ..several
        }
    }

    /// Starts without a lock, for tests that hold [`MACHINE`] exclusively.
    pub(crate) async fn start_alone(
        test: &Test,
        consumers: usize,
        endpoints: &str,
        settings: &[(&str, &str)],
    ) -> Self {
        let place = test.place();
        let folder = RunFolder::temporary("endpoints").unwrap();
        let client = mongodb::Client::with_uri_str(&place.mongodb_uri)
            .await
            .unwrap();
        let log = client.database(&place.database).collection("webhooklogs");
        let connection = Connection::connect(&place.amqp_url, ConnectionProperties::default());
        let connection = connection.await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let mut several = Self {
            log,
            _machine: None,
            channel,
            _connection: connection,
            producer: Program::producer(&[("AMQP_URL", &place.amqp_url)]).await,
            consumers: Vec::new(),
            place,
            folder,
            http: http_client().unwrap(),
        };
        several.write(endpoints);
        for _ in 0..consumers {
            several.start_consumer(settings).await;
        }
        several.producer.wait_ready(AT_LAST).await;
        several
    }

    /// Starts another consumer with the shared file.
    pub(crate) async fn start_consumer(&mut self, settings: &[(&str, &str)]) {
        let file = self.file().display().to_string();
        let consumer = self.launch(&file, settings).await;
        self.consumers.push(consumer);
    }

    /// Starts another consumer with its own file.
    pub(crate) async fn another(&self, name: &str, endpoints: &str) -> Program {
        let file = self.path(name);
        fs::write(&file, endpoints).unwrap();
        self.launch(&file.display().to_string(), &[]).await
    }

    async fn launch(&self, file: &str, settings: &[(&str, &str)]) -> Program {
        let mut all = vec![
            ("AMQP_URL", self.place.amqp_url.as_str()),
            ("MONGODB_URI", self.place.mongodb_uri.as_str()),
            ("MONGODB_DATABASE", self.place.database.as_str()),
            ("WEBHOOK_ENDPOINTS", file),
        ];
        all.extend(settings);
        let consumer = Program::consumer(&all).await;
        consumer.wait_ready(AT_LAST).await;
        consumer
    }

    fn file(&self) -> PathBuf {
        self.path("endpoints.toml")
    }

    /// Returns the path of a file of [`Self::another`].
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) async fn delete_queue(&self, queue: &str) {
        let options = QueueDeleteOptions::default();
        let deleted = self.channel.queue_delete(queue.into(), options);
        deleted.await.unwrap();
    }

    /// Writes the file without a reload.
    pub(crate) fn write(&self, endpoints: &str) {
        fs::write(self.file(), endpoints).unwrap();
    }

    /// Writes the file and reloads all consumers; returns when the file is in effect or refused.
    pub(crate) async fn reload(&self, endpoints: &str) {
        self.write(endpoints);
        for consumer in &self.consumers {
            let reloads = |m: &Metrics| m.sum("wahook_reloads_total");
            let before = reloads(&consumer.metrics().await);
            consumer.hang_up();
            consumer
                .wait_metrics("a reload", AT_LAST, |m| reloads(m) > before)
                .await;
        }
    }

    /// POSTs an event; returns status and answer.
    pub(crate) async fn post(&self, event: &Value) -> (StatusCode, Value) {
        let url = format!("{}/v1/events", self.producer.base_url());
        let request = self.http.post(url).body(event.to_string());
        let request = request.header("content-type", "application/json");
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap())
    }

    /// POSTs an event and returns its id; fails the test if the event is refused.
    pub(crate) async fn accepted(&self, name: &str) -> String {
        let (status, answer) = self.post(&json!({"event": name})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{name}: {answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// POSTs `count` events of one name as one batch.
    pub(crate) async fn batch(&self, name: &str, count: usize) {
        let lines: Vec<_> = (0..count)
            .map(|n| json!({"event": name, "data": {"n": n}}).to_string())
            .collect();
        let url = format!("{}/v1/events", self.producer.base_url());
        let request = self.http.post(url).body(lines.join("\n"));
        let request = request.header("content-type", "application/x-ndjson");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        // Reads the whole answer, so that all events are confirmed.
        answer.bytes().await.unwrap();
    }

    pub(crate) fn log(&self) -> &Collection<Document> {
        &self.log
    }

    /// Returns the number of ready messages in a queue.
    pub(crate) async fn depth(&self, queue: &str) -> u32 {
        self.queue(queue).await.message_count()
    }

    /// Returns the number of subscriptions to a queue.
    pub(crate) async fn consumers_of(&self, queue: &str) -> u32 {
        self.queue(queue).await.consumer_count()
    }

    async fn queue(&self, queue: &str) -> lapin::Queue {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let declared = self
            .channel
            .queue_declare(queue.into(), options, FieldTable::default());
        declared.await.unwrap()
    }

    /// Counts the records of an endpoint by status.
    pub(crate) async fn statuses(&self, endpoint: &str) -> BTreeMap<String, u64> {
        let log = &self.log;
        let mut counts = BTreeMap::new();
        for status in ["success", "retrying", "failed"] {
            let filter = doc! {"endpoint": endpoint, "status": status};
            let count = log.count_documents(filter).await.unwrap();
            if count > 0 {
                counts.insert(status.to_owned(), count);
            }
        }
        counts
    }
}

/// Returns the sum of a metric over all consumers.
pub(crate) async fn total(consumers: &[Program], name: &str, labels: &[(&str, &str)]) -> f64 {
    let mut total = 0.0;
    for consumer in consumers {
        total += consumer.metrics().await.sum_where(name, labels);
    }
    total
}
