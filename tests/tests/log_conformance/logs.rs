//! Both logs, and readers of their records.

use mongodb::bson::{Bson, Document, doc};
use serde_json::Value;
use wahook_delivery_log::{DeliveryLog, MongoLog};
use wahook_embedded::{EmbeddedLog, Store};
use wahook_tests::folder::RunFolder;
use wahook_tests::pair::Place;

/// Log with read access as its users have it.
pub(crate) trait Readable {
    fn log(&self) -> &dyn DeliveryLog;

    /// Returns a field of a record as JSON.
    async fn field(&self, key: &str, name: &str) -> Value;

    async fn count(&self) -> u64;
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

    async fn field(&self, key: &str, name: &str) -> Value {
        let found = self.records.find_one(doc! { "_id": key }).await.unwrap();
        found.expect("a record").get(name).map_or(Value::Null, json)
    }

    async fn count(&self) -> u64 {
        self.records.count_documents(doc! {}).await.unwrap()
    }
}

fn json(value: &Bson) -> Value {
    match value {
        Bson::DateTime(date) => date.timestamp_millis().into(),
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
    _store: Store,
    folder: RunFolder,
}

impl InSqlite {
    pub(crate) fn open() -> Self {
        let folder = RunFolder::temporary("conformance").unwrap();
        let store = Store::open(&folder.join("data.db")).unwrap();
        Self {
            log: store.log(),
            _store: store,
            folder,
        }
    }

    fn select(&self, query: &str) -> rusqlite::types::Value {
        let db = rusqlite::Connection::open(self.folder.join("data.db")).unwrap();
        db.query_row(query, [], |row| row.get(0)).unwrap()
    }
}

impl Readable for InSqlite {
    fn log(&self) -> &dyn DeliveryLog {
        &self.log
    }

    async fn field(&self, key: &str, name: &str) -> Value {
        use rusqlite::types::Value as Sql;
        let query = format!("SELECT {name} FROM webhooklogs WHERE _id = '{key}'");
        match self.select(&query) {
            Sql::Text(text) if name == "payload" => serde_json::from_str(&text).unwrap(),
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
}
