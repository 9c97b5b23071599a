//! Shared MongoDB with one log per test.

use std::sync::{Arc, Weak};

use mongodb::{
    Collection, Database,
    bson::{Document, doc},
};
use tokio::sync::Mutex;
use wahook_delivery_log::DeliveryLog;
use wahook_domain::{DeliveryRecord, EndpointName, EventId};
use wahook_mongo_log::MongoLog;
use wahook_tests::mongod::Mongod;

/// Returns the server shared by all tests that do not stop it; each has its own database.
/// The server stops with the last test that uses it.
pub(crate) async fn server() -> Arc<Mongod> {
    static SERVER: Mutex<Weak<Mongod>> = Mutex::const_new(Weak::new());
    let mut shared = SERVER.lock().await;
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(Mongod::start().await);
    *shared = Arc::downgrade(&server);
    server
}

pub(crate) struct Log {
    pub(crate) log: MongoLog,
    pub(crate) database: Database,
    server: Arc<Mongod>,
}

impl Log {
    pub(crate) async fn named(database: &str) -> Self {
        Self::on(&server().await, database).await
    }

    pub(crate) async fn on(server: &Arc<Mongod>, database: &str) -> Self {
        let log = MongoLog::connect(&server.uri(), database).await.unwrap();
        let database = server.client().await.database(database);
        Self {
            log,
            database,
            server: Arc::clone(server),
        }
    }

    pub(crate) fn uri(&self) -> String {
        self.server.uri()
    }

    pub(crate) fn collection(&self) -> Collection<Document> {
        self.database.collection("webhooklogs")
    }

    pub(crate) async fn stored(&self, id: &str) -> Document {
        let records = self.collection();
        let found = records.find_one(doc! { "_id": format!("{id}/default") });
        found.await.unwrap().expect("the record is stored")
    }

    pub(crate) async fn found(&self, id: &str) -> Option<DeliveryRecord> {
        let id = EventId::parse(id).unwrap();
        self.log.find(&id, &EndpointName::default()).await.unwrap()
    }
}
