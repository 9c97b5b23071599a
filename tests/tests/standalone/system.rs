//! Single process with its data file; its addresses survive a restart.

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::{Value, json};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::SECRET;
use wahook_tests::ports::free_port;
use wahook_tests::program::{Metrics, Program};
use wahook_tests::readiness::wait_consuming;
use wahook_tests::receiver::Receiver;

/// Name of the endpoints file.
const ENDPOINTS: &str = "endpoints.toml";

pub(crate) struct System {
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) events: String,
    folder: RunFolder,
}

impl System {
    pub(crate) fn new(receiver: &Receiver, settings: &[(&str, &str)]) -> Self {
        let folder = RunFolder::temporary("standalone").unwrap();
        let (producer, consumer) = (free_port().unwrap(), free_port().unwrap());
        let data = folder.join("wahook.db").display().to_string();
        let own = [
            ("WAHOOK_DATA", data),
            ("PRODUCER_LISTEN", format!("127.0.0.1:{producer}")),
            ("CONSUMER_LISTEN", format!("127.0.0.1:{consumer}")),
            ("WEBHOOK_URL", receiver.url()),
            ("WEBHOOK_SECRET", SECRET.to_owned()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let others = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            settings: own.into_iter().chain(others).collect(),
            events: format!("http://127.0.0.1:{producer}"),
            folder,
        }
    }

    /// Creates a system with an endpoints file instead of the receiver's endpoint.
    pub(crate) fn with_endpoints(receiver: &Receiver, endpoints: &str) -> Self {
        let mut system = Self::new(receiver, &[]);
        let settings = &mut system.settings;
        settings.retain(|(name, _)| !name.starts_with("WEBHOOK_"));
        let file = system.path(ENDPOINTS).display().to_string();
        system.settings.push(("WEBHOOK_ENDPOINTS".to_owned(), file));
        system.write_endpoints(endpoints);
        system
    }

    /// Replaces the endpoints file.
    pub(crate) fn write_endpoints(&self, endpoints: &str) {
        fs::write(self.path(ENDPOINTS), endpoints).unwrap();
    }

    pub(crate) fn borrowed(&self) -> Vec<(&str, &str)> {
        let pairs = self.settings.iter();
        pairs.map(|(n, v)| (n.as_str(), v.as_str())).collect()
    }

    /// Starts the program; returns when it accepts and delivers events.
    pub(crate) async fn start(&self) -> Program {
        let program = Program::standalone(&self.borrowed()).await;
        program.wait_ready(AT_LAST).await;
        wait_consuming(&self.operators()).await;
        program
    }

    /// Sends an event without data and returns its id.
    pub(crate) async fn send(&self, event: &str) -> String {
        self.send_event(&json!({ "event": event })).await
    }

    /// Sends an event and returns its id.
    pub(crate) async fn send_event(&self, event: &Value) -> String {
        let http = http_client().unwrap();
        let url = format!("{}/v1/events", self.events);
        // Refused until the endpoints are declared, shortly after the start.
        let answer = eventually(AT_LAST, "an accepted event", || async {
            let request = http.post(&url).header("content-type", "application/json");
            let answer = request.body(event.to_string()).send().await.unwrap();
            let answer = answer.error_for_status().ok()?;
            Some(answer.bytes().await.unwrap())
        })
        .await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Sends an event, waits until its record has this status, and returns its id.
    pub(crate) async fn ended(&self, event: &str, status: &str) -> String {
        let id = self.send(event).await;
        let record = format!(
            "SELECT count(*) FROM webhooklogs WHERE eventId = '{id}' AND status = '{status}'"
        );
        eventually(AT_LAST, "the record", || async {
            (self.count(&record) == 1).then_some(())
        })
        .await;
        id
    }

    /// URL of the consumer's server.
    pub(crate) fn operators(&self) -> String {
        let mut settings = self.settings.iter();
        let (_, listen) = settings
            .find(|(name, _)| name == "CONSUMER_LISTEN")
            .unwrap();
        format!("http://{listen}")
    }

    /// Returns the metrics of deliveries, which have another address than those of events.
    pub(crate) async fn metrics(&self) -> Metrics {
        let http = http_client().unwrap();
        let url = format!("{}/metrics", self.operators());
        let answer = http.get(url).send().await;
        let text = answer.unwrap().bytes().await.unwrap();
        Metrics::parse(str::from_utf8(&text).unwrap()).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Opens the data file.
    pub(crate) fn data(&self) -> Connection {
        let data = Connection::open(self.path("wahook.db")).unwrap();
        data.busy_timeout(AT_LAST).unwrap();
        data
    }

    /// Returns the integer that the query selects.
    pub(crate) fn count(&self, query: &str) -> i64 {
        let data = self.data();
        data.query_row(query, [], |row| row.get(0)).unwrap()
    }

    /// Returns the two text columns that the query selects.
    pub(crate) fn pairs(&self, query: &str) -> Vec<(String, String)> {
        let data = self.data();
        let mut statement = data.prepare(query).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    }
}
