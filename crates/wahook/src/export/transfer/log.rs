//! Copies the log from the file to MongoDB. Records are written as results, like a consumer
//! does, so they merge with existing ones; then they are read back.

use anyhow::Context;
use std::{collections::BTreeMap, time::Instant};
use tokio::time::sleep;
use wahook_delivery_log::{DeliveryLog, LogUnavailable};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId, UnixMillis};
use wahook_embedded::Contents;
use wahook_mongo_log::MongoLog;
use wahook_runtime::Shutdown;

use super::{
    bar::Bar,
    ensure_running,
    tally::Count,
    target::{LOG_SETTING, RETRY_INTERVAL, Target, UNAVAILABLE_LIMIT},
};

/// Number of records that are compared, written and read back together.
const BATCH: usize = 200;

type Key = (EventId, EndpointName);

/// Record of the data file.
struct FileRecord {
    record: DeliveryRecord,
    results: Vec<AttemptResult>,
}

/// Copies all records of events accepted at or after `since`.
pub(super) async fn copy(
    contents: &Contents,
    since: UnixMillis,
    target: &Target,
    count: &mut Count,
    bar: &Bar,
    stop: &Shutdown,
) -> anyhow::Result<()> {
    bar.at("records");
    let mut after = String::new();
    loop {
        ensure_running(stop)?;
        let logged = contents.records(&after, since, BATCH)?;
        let Some(last) = logged.last() else {
            return Ok(());
        };
        after.clone_from(&last.key);
        let read = logged.len();
        let mut batch = BTreeMap::new();
        for logged in logged {
            match logged.results.and_then(FileRecord::new) {
                Some(own) => {
                    let key = (own.record.event_id.clone(), own.record.endpoint.clone());
                    batch.insert(key, own);
                }
                None => tracing::error!(key = logged.key, "unreadable record not exported"),
            }
        }
        copy_batch(&target.log, batch, count)
            .await
            .context(LOG_SETTING)?;
        bar.advance(read);
    }
}

/// Copies records, except those that MongoDB already contains: a second run writes nothing.
async fn copy_batch(
    log: &MongoLog,
    mut records: BTreeMap<Key, FileRecord>,
    count: &mut Count,
) -> Result<(), LogUnavailable> {
    count.already_there += remove_existing(log, &mut records).await?;
    let results: Vec<_> = records
        .values()
        .flat_map(|own| own.results.clone())
        .collect();
    if !results.is_empty() {
        write(log, &results).await?;
        count.exported += remove_existing(log, &mut records).await?;
    }
    for (id, endpoint) in records.keys() {
        tracing::error!(%id, %endpoint, "record in MongoDB lacks attempts of the data file");
    }
    Ok(())
}

/// Removes the records that MongoDB contains completely, and returns their number.
async fn remove_existing(
    log: &MongoLog,
    records: &mut BTreeMap<Key, FileRecord>,
) -> Result<u64, LogUnavailable> {
    let keys: Vec<_> = records.keys().cloned().collect();
    let started = Instant::now();
    let stored = loop {
        match log.find_all(&keys).await {
            Err(_) if started.elapsed() < UNAVAILABLE_LIMIT => sleep(RETRY_INTERVAL).await,
            found => break found?,
        }
    };
    let mut removed = 0;
    for stored in stored {
        let key = (stored.event_id.clone(), stored.endpoint.clone());
        let has_all = |own: &FileRecord| stored.includes(&own.record);
        if records.get(&key).is_some_and(has_all) {
            records.remove(&key);
            removed += 1;
        }
    }
    Ok(removed)
}

async fn write(log: &MongoLog, results: &[AttemptResult]) -> Result<(), LogUnavailable> {
    let started = Instant::now();
    loop {
        match log.write(results).await {
            Err(_) if started.elapsed() < UNAVAILABLE_LIMIT => sleep(RETRY_INTERVAL).await,
            written => return written.map(drop),
        }
    }
}

impl FileRecord {
    fn new(results: Vec<AttemptResult>) -> Option<Self> {
        let mut record = DeliveryRecord::first(results.first()?);
        results.iter().for_each(|result| record.merge(result));
        Some(Self { record, results })
    }
}
