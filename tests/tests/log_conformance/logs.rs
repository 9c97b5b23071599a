//! Both logs, and readers of their records.

use mongodb::bson::{Bson, DateTime, Document, doc};
use serde_json::Value;
use wahook_delivery_log::{DeliveryLog, DeliverySearch, LogEraser, LogReader};
use wahook_embedded::{EmbeddedEraser, EmbeddedLog, EmbeddedOperatorState, EmbeddedReader, Store};
use wahook_mongo_log::MongoLog;
use wahook_operator_state::{CircuitReports, JobStore, OperatorState};
use wahook_tests::folder::RunFolder;
use wahook_tests::pair::Place;

/// Log with read access as its users have it.
pub(crate) trait Readable {
    fn log(&self) -> &dyn DeliveryLog;

    /// Returns the log with rules of `LOG_REDACT`.
    fn redacting(&self, rules: &str) -> Box<dyn DeliveryLog>;

    /// Returns a field of a record as JSON.
    async fn field(&self, key: &str, name: &str) -> Value;

    async fn count(&self) -> u64;

    fn reader(&self) -> &dyn LogReader;

    fn operator_state(&self) -> &dyn OperatorState;

    fn jobs(&self) -> &dyn JobStore;

    fn circuits(&self) -> &dyn CircuitReports;

    fn eraser(&self) -> &dyn LogEraser;

    fn search(&self) -> &dyn DeliverySearch;

    /// Inserts a record that is not a delivery record.
    async fn insert_foreign(&self, key: &str, created_at: i64);

    /// Empties the list of attempts of a record.
    async fn remove_attempts(&self, key: &str);
}

pub(crate) struct InMongo {
    log: MongoLog,
    records: mongodb::Collection<Document>,
}

impl InMongo {
    pub(crate) async fn open(place: &Place) -> Self {
        let log = MongoLog::connect(&place.mongodb_uri, &place.database).await;
        let client = mongodb::Client::with_uri_str(&place.mongodb_uri).await;
        let database = client.unwrap().database(&place.database);
        Self {
            log: log.unwrap(),
            records: database.collection("webhooklogs"),
        }
    }
}

impl Readable for InMongo {
    fn log(&self) -> &dyn DeliveryLog {
        &self.log
    }

    fn redacting(&self, rules: &str) -> Box<dyn DeliveryLog> {
        Box::new(self.log.clone().redacting(rules.parse().ok()))
    }

    async fn field(&self, key: &str, name: &str) -> Value {
        let found = self.records.find_one(doc! { "_id": key }).await.unwrap();
        found.expect("a record").get(name).map_or(Value::Null, json)
    }

    async fn count(&self) -> u64 {
        self.records.count_documents(doc! {}).await.unwrap()
    }

    fn reader(&self) -> &dyn LogReader {
        &self.log
    }

    fn operator_state(&self) -> &dyn OperatorState {
        &self.log
    }

    fn jobs(&self) -> &dyn JobStore {
        &self.log
    }

    fn circuits(&self) -> &dyn CircuitReports {
        &self.log
    }

    fn eraser(&self) -> &dyn LogEraser {
        &self.log
    }

    fn search(&self) -> &dyn DeliverySearch {
        &self.log
    }

    async fn insert_foreign(&self, key: &str, created_at: i64) {
        let document = doc! { "_id": key, "createdAt": DateTime::from_millis(created_at) };
        self.records.insert_one(document).await.unwrap();
    }

    async fn remove_attempts(&self, key: &str) {
        let update = doc! { "$set": { "attempts": [] } };
        let updated = self.records.update_one(doc! { "_id": key }, update).await;
        assert_eq!(updated.unwrap().modified_count, 1);
    }
}

fn json(value: &Bson) -> Value {
    match value {
        Bson::DateTime(date) => date.timestamp_millis().into(),
        Bson::Boolean(is) => (*is).into(),
        Bson::Int32(number) => (*number).into(),
        Bson::Int64(number) => (*number).into(),
        Bson::Double(number) => (*number).into(),
        Bson::String(text) => text.as_str().into(),
        Bson::Array(items) => items.iter().map(json).collect(),
        Bson::Document(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), json(value)))
            .collect(),
        _ => Value::Null,
    }
}

pub(crate) struct InSqlite {
    log: EmbeddedLog,
    reader: EmbeddedReader,
    operator_state: EmbeddedOperatorState,
    eraser: EmbeddedEraser,
    _store: Store,
    folder: RunFolder,
}

impl InSqlite {
    pub(crate) fn open() -> Self {
        let folder = RunFolder::temporary("conformance").unwrap();
        let store = Store::open(&folder.join("data.db")).unwrap();
        Self {
            log: store.log(),
            reader: EmbeddedReader::open(&folder.join("data.db")).unwrap(),
            operator_state: EmbeddedOperatorState::open(&folder.join("data.db")).unwrap(),
            eraser: EmbeddedEraser::open(&folder.join("data.db")).unwrap(),
            _store: store,
            folder,
        }
    }

    fn select(&self, query: &str) -> rusqlite::types::Value {
        self.connect()
            .query_row(query, [], |row| row.get(0))
            .unwrap()
    }

    fn connect(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.folder.join("data.db")).unwrap()
    }
}

impl Readable for InSqlite {
    fn log(&self) -> &dyn DeliveryLog {
        &self.log
    }

    fn redacting(&self, rules: &str) -> Box<dyn DeliveryLog> {
        Box::new(self.log.clone().redacting(rules.parse().ok()))
    }

    async fn field(&self, key: &str, name: &str) -> Value {
        use rusqlite::types::Value as Sql;
        let query = format!("SELECT {name} FROM webhooklogs WHERE _id = '{key}'");
        match self.select(&query) {
            Sql::Text(text) if matches!(name, "payload" | "attempts") => {
                serde_json::from_str(&text).unwrap()
            }
            Sql::Text(text) => text.into(),
            Sql::Integer(number) => number.into(),
            _ => Value::Null,
        }
    }

    async fn count(&self) -> u64 {
        match self.select("SELECT count(*) FROM webhooklogs") {
            rusqlite::types::Value::Integer(count) => count.try_into().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn reader(&self) -> &dyn LogReader {
        &self.reader
    }

    fn operator_state(&self) -> &dyn OperatorState {
        &self.operator_state
    }

    fn jobs(&self) -> &dyn JobStore {
        &self.operator_state
    }

    fn circuits(&self) -> &dyn CircuitReports {
        &self.operator_state
    }

    fn eraser(&self) -> &dyn LogEraser {
        &self.eraser
    }

    fn search(&self) -> &dyn DeliverySearch {
        &self.reader
    }

    async fn insert_foreign(&self, key: &str, created_at: i64) {
        let insert = "INSERT INTO webhooklogs (_id, event, payload, webhookUrl, status, \
             retryCount, createdAt, updatedAt, eventId, endpoint, attempts, timestamp) \
             VALUES (?1, '', '', '', '', 0, ?2, ?2, '', '', '[]', '')";
        let inserted = self.connect().execute(insert, (key, created_at));
        assert_eq!(inserted.unwrap(), 1);
    }

    async fn remove_attempts(&self, key: &str) {
        let update = "UPDATE webhooklogs SET attempts = '[]' WHERE _id = ?";
        assert_eq!(self.connect().execute(update, [key]).unwrap(), 1);
    }
}
