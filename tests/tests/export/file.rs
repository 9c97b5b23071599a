//! Data file as `wahook` leaves it, and the command that exports it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::join_all;
use wahook_delivery_log::DeliveryLog;
use wahook_domain::{
    Attempt, AttemptNumber, AttemptResult, EndpointName, EventBody, EventId, EventName,
    EventPattern, OrderKey, Original, QueuedEvent, RetryRule, UnixMillis, WaitStep,
};
use wahook_embedded::Store;
use wahook_queue::{ConsumerConnection, Outgoing, Publisher, Topology};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::RunFolder;
use wahook_tests::pair::{Place, SECRET};
use wahook_tests::program::{Command, ProgramName, Ran};

pub(crate) const WORK: &str = "wahook.deliver.default";
pub(crate) const URL: &str = "http://127.0.0.1:9/webhook";

pub(crate) struct DataFile {
    folder: RunFolder,
}

/// Open data file that tests fill.
pub(crate) struct Filling {
    store: Store,
    publisher: Publisher,
    pub(crate) connection: ConsumerConnection,
}

impl DataFile {
    pub(crate) fn new() -> Self {
        let folder = RunFolder::temporary("export").unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join("wahook.db")
    }

    /// Opens the file and declares the queues of the default endpoint.
    pub(crate) async fn fill(&self) -> Filling {
        let store = Store::open(&self.path()).unwrap();
        let rule: RetryRule = "5s,10s,20s,30s,1m,2m,5m,8m".parse().unwrap();
        let steps = rule.wait_steps();
        let (name, every) = (endpoint(), [EventPattern::Every]);
        let topology = Topology::deliveries([(&name, every.as_slice(), None)], &steps);
        let connection = ConsumerConnection::connect(&store.broker(), "test", &topology).await;
        let (publisher, _) = Publisher::start(store.broker(), "test", topology, AT_LAST);
        Filling {
            connection: connection.unwrap(),
            store,
            publisher,
        }
    }

    pub(crate) fn db(&self) -> rusqlite::Connection {
        let db = rusqlite::Connection::open(self.path()).unwrap();
        db.busy_timeout(AT_LAST).unwrap();
        db
    }

    pub(crate) fn count(&self, query: &str) -> i64 {
        self.db().query_row(query, [], |row| row.get(0)).unwrap()
    }

    /// Returns the number of messages of all kinds.
    pub(crate) fn queued(&self) -> i64 {
        self.count("SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM waiting)")
    }

    /// Starts the export to a place, with the settings of its consumer.
    pub(crate) async fn export(&self, place: &Place, arguments: &[&str]) -> Command {
        let data = self.path().display().to_string();
        let settings = [
            ("WAHOOK_DATA", data.as_str()),
            ("AMQP_URL", &place.amqp_url),
            ("MONGODB_URI", &place.mongodb_uri),
            ("MONGODB_DATABASE", &place.database),
            ("WEBHOOK_URL", URL),
            ("WEBHOOK_SECRET", SECRET),
        ];
        let arguments = [&["export"], arguments].concat();
        Command::start(ProgramName::Standalone, &arguments, &settings).await
    }

    /// Exports to a place and waits for the end.
    pub(crate) async fn exported(&self, place: &Place) -> Ran {
        self.export(place, &[]).await.finish().await
    }
}

impl Filling {
    pub(crate) async fn publish(&self, message: Outgoing) {
        self.publisher.publish(message).await.unwrap();
    }

    pub(crate) async fn publish_all(&self, messages: impl Iterator<Item = Outgoing>) {
        let published = join_all(messages.map(|message| self.publisher.publish(message))).await;
        published.into_iter().for_each(Result::unwrap);
    }

    pub(crate) async fn record(&self, results: &[AttemptResult]) {
        self.store.log().write(results).await.unwrap();
    }
}

/// Returns the figures of a row of the printed table.
pub(crate) fn row(ran: &Ran, name: &str) -> Vec<u64> {
    let mut lines = ran.stdout.lines();
    let line = lines.find_map(|line| line.strip_prefix(name));
    let line = line.unwrap_or_else(|| panic!("no row {name}: {ran:?}"));
    line.split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect()
}

pub(crate) fn endpoint() -> EndpointName {
    EndpointName::default()
}

pub(crate) fn step(millis: i64) -> WaitStep {
    WaitStep::of_millis(millis).unwrap()
}

pub(crate) fn now() -> UnixMillis {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test needs a clock outside of the programs"
    )]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixMillis::new(now.unwrap().as_millis() as i64)
}

/// Builds an event with content that is hard to preserve: odd keys, numbers and text.
pub(crate) fn event(name: &str, id: &str, attempt: u32) -> QueuedEvent {
    let body = format!(
        r#"{{"1":2,"event":"{name}","data":{{"id":"{id}","text":"ü \ud83d \\ €","n":1e+21}},"timestamp":"2024-10-01T12:00:00.000Z"}}"#
    );
    QueuedEvent {
        attempt: AttemptNumber::new(attempt).unwrap(),
        key: OrderKey::sent(&format!("key-of-{id}")).ok(),
        ..QueuedEvent::new(
            EventId::parse(id).unwrap(),
            EventName::parse(name).unwrap(),
            EventBody::check(Bytes::from(body)).unwrap(),
            now(),
        )
    }
}

/// Builds the result of an attempt; `next` is the due time of the next one.
pub(crate) fn result(
    event: &QueuedEvent,
    error: Option<&str>,
    next: Option<UnixMillis>,
) -> AttemptResult {
    AttemptResult {
        event_id: event.id.clone(),
        endpoint: endpoint(),
        event: event.name.clone(),
        body: event.body.clone(),
        accepted_at: event.accepted_at,
        origin: None,
        original: Original::Same,
        attempt: Attempt {
            queued_at: event.queued_at(),
            number: event.attempt,
            started_at: event.accepted_at,
            duration_ms: 3,
            status_code: Some(if error.is_some() { 500 } else { 200 }),
            error: error.map(str::to_owned),
            next_attempt_at: next,
            webhook_url: Arc::from(URL),
            response: None,
            other_event: false,
        },
    }
}
