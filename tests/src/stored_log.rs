//! Delivery log of running programs: filled in bulk, or without its search index.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use mongodb::bson::{DateTime, Document, doc};
use mongodb::{Client, Collection};
use rusqlite::{Connection, named_params};

use crate::eventually::eventually;
use crate::pair::Place;

/// Number of copies, of which each tenth has failed.
pub const DELIVERIES: u32 = 100_000;
/// Copies of each chat.
pub const OF_ONE_CHAT: u32 = 10;
/// Time between two of them. All are of the last 20 hours.
const APART_MS: u32 = 700;
const AT_ONCE: u32 = 10_000;
const LOCKED_FOR: Duration = Duration::from_secs(60);
const CREATED_WITHIN: Duration = Duration::from_secs(30);

/// Place of a delivery log.
#[derive(Debug)]
pub enum StoredIn {
    DataFile(PathBuf),
    MongoDb(Place),
}

/// Keys of the records to copy, each `EVENT_ID/ENDPOINT`.
#[derive(Debug)]
pub struct Templates {
    pub delivered: String,
    pub failed: String,
}

impl StoredIn {
    /// Adds the copies `filled-0/…` to `filled-99999/…`. Number n is of the chat
    /// `chat-{n / 10}@c.us` and has the message id `message-n`.
    pub async fn fill(&self, templates: &Templates) -> anyhow::Result<()> {
        match self {
            Self::DataFile(data) => fill_file(data, templates),
            Self::MongoDb(place) => fill_mongodb(place, templates).await,
        }
    }

    /// Returns the number of records of failed deliveries.
    pub async fn count_failed(&self) -> anyhow::Result<u64> {
        match self {
            Self::DataFile(data) => {
                let db = Connection::open(data)?;
                db.busy_timeout(LOCKED_FOR)?;
                let count = "SELECT count(*) FROM webhooklogs WHERE status = 'failed'";
                Ok(db.query_row(count, [], |row| row.get::<_, u32>(0))?.into())
            }
            Self::MongoDb(place) => {
                let log = collection(place).await?;
                Ok(log.count_documents(doc! { "status": "failed" }).await?)
            }
        }
    }

    /// Removes what only searches of the console need, once the programs have created it.
    pub async fn remove_search_index(&self) -> anyhow::Result<()> {
        match self {
            Self::DataFile(data) => {
                let db = Connection::open(data)?;
                db.busy_timeout(LOCKED_FOR)?;
                // Without the search, the log needs an index on the time alone.
                db.execute_batch(
                    "DROP INDEX webhooklogs_search;
                     CREATE INDEX webhooklogs_by_time ON webhooklogs (createdAt);",
                )?;
                Ok(())
            }
            Self::MongoDb(place) => {
                let log = collection(place).await?;
                for name in ["chat_1_createdAt_-1", "messageId_1_createdAt_-1"] {
                    let created = || async {
                        let names = log.list_index_names().await.unwrap_or_default();
                        names.iter().any(|known| known == name).then_some(())
                    };
                    eventually(CREATED_WITHIN, name, created).await;
                    log.drop_index(name).await?;
                }
                Ok(())
            }
        }
    }
}

async fn collection(place: &Place) -> anyhow::Result<Collection<Document>> {
    let client = Client::with_uri_str(&place.mongodb_uri).await?;
    Ok(client.database(&place.database).collection("webhooklogs"))
}

fn fill_file(data: &Path, templates: &Templates) -> anyhow::Result<()> {
    let db = Connection::open(data)?;
    db.busy_timeout(LOCKED_FOR)?;
    let columns: Vec<String> = db
        .prepare("SELECT * FROM webhooklogs")?
        .column_names()
        .map(str::to_owned)
        .collect();
    let values = columns.iter().map(|name| match name.as_str() {
        "_id" => "'filled-' || n || '/' || endpoint".to_owned(),
        "eventId" => "'filled-' || n".to_owned(),
        "chat" => "'chat-' || (n / :ofChat) || '@c.us'".to_owned(),
        "messageId" => "'message-' || n".to_owned(),
        "createdAt" | "updatedAt" | "completedAt" => format!("{name} - (n + 1) * :apart"),
        other => other.to_owned(),
    });
    let (values, columns) = (values.collect::<Vec<_>>().join(", "), columns.join(", "));
    let fill = format!(
        "WITH RECURSIVE number(n) AS \
         (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < :deliveries) \
         INSERT INTO webhooklogs ({columns}) SELECT {values} FROM number JOIN webhooklogs \
         ON _id = CASE WHEN n % 10 = 0 THEN :failed ELSE :delivered END"
    );
    let filled = db.execute(
        &fill,
        named_params! {
            ":deliveries": DELIVERIES,
            ":apart": APART_MS,
            ":ofChat": OF_ONE_CHAT,
            ":delivered": templates.delivered,
            ":failed": templates.failed,
        },
    )?;
    ensure!(
        u32::try_from(filled) == Ok(DELIVERIES),
        "only {filled} records were added"
    );
    Ok(())
}

async fn fill_mongodb(place: &Place, templates: &Templates) -> anyhow::Result<()> {
    let log = collection(place).await?;
    let record = async |key: &str| {
        let found = log.find_one(doc! { "_id": key }).await?;
        found.with_context(|| format!("no record {key}"))
    };
    let delivered = record(&templates.delivered).await?;
    let failed = record(&templates.failed).await?;
    let mut first = 0;
    while first < DELIVERIES {
        let numbers = first..first + AT_ONCE;
        let copies = numbers.map(|n| copy(if n % 10 == 0 { &failed } else { &delivered }, n));
        let copies = copies.collect::<anyhow::Result<Vec<_>>>()?;
        log.insert_many(copies).ordered(false).await?;
        first += AT_ONCE;
    }
    Ok(())
}

fn copy(record: &Document, n: u32) -> anyhow::Result<Document> {
    let mut copy = record.clone();
    for name in ["createdAt", "updatedAt", "completedAt"] {
        let at = record.get_datetime(name)?.timestamp_millis();
        let at = at - i64::from(n + 1) * i64::from(APART_MS);
        copy.insert(name, DateTime::from_millis(at));
    }
    let endpoint = record.get_str("endpoint")?;
    copy.insert("_id", format!("filled-{n}/{endpoint}"));
    copy.insert("eventId", format!("filled-{n}"));
    copy.insert("chat", format!("chat-{}@c.us", n / OF_ONE_CHAT));
    copy.insert("messageId", format!("message-{n}"));
    Ok(copy)
}
