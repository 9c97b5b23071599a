//! The log, from the file into MongoDB. Each record is written as a consumer writes results,
//! so it merges with whatever is there, and then read back.

use anyhow::Context;
use std::{collections::BTreeMap, time::Instant};
use tokio::time::sleep;
use wahook_delivery_log::{DeliveryLog, LogUnavailable, MongoLog};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId, UnixMillis};
use wahook_embedded::Contents;
use wahook_runtime::Shutdown;

use super::{
    bar::Bar,
    not_stopped,
    tally::Count,
    target::{AT_LOG, PATIENCE, PAUSE, Target},
};

/// Records that are compared, written and read back together.
const AT_ONCE: usize = 200;

type Key = (EventId, EndpointName);

/// A record of the file.
struct Ours {
    record: DeliveryRecord,
    results: Vec<AttemptResult>,
}

/// Copies all records of events that were accepted at `since` or later.
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
        not_stopped(stop)?;
        let logged = contents.records(&after, since, AT_ONCE)?;
        let Some(last) = logged.last() else {
            return Ok(());
        };
        after.clone_from(&last.key);
        let read = logged.len();
        let mut some = BTreeMap::new();
        for logged in logged {
            match logged.results.and_then(Ours::of) {
                Some(ours) => {
                    let key = (ours.record.event_id.clone(), ours.record.endpoint.clone());
                    some.insert(key, ours);
                }
                None => tracing::error!(key = logged.key, "a record can't be read"),
            }
        }
        copy_some(&target.log, some, count).await.context(AT_LOG)?;
        bar.advance(read);
    }
}

/// What MongoDB has as it is here is left alone, so that a second run writes nothing.
async fn copy_some(
    log: &MongoLog,
    mut ours: BTreeMap<Key, Ours>,
    count: &mut Count,
) -> Result<(), LogUnavailable> {
    count.already_there += take_those_that_are_there(log, &mut ours).await?;
    let results: Vec<_> = ours
        .values()
        .flat_map(|ours| ours.results.clone())
        .collect();
    if !results.is_empty() {
        write(log, &results).await?;
        count.exported += take_those_that_are_there(log, &mut ours).await?;
    }
    for (id, endpoint) in ours.keys() {
        tracing::error!(%id, %endpoint, "a record is not in MongoDB as it is in the file");
    }
    Ok(())
}

/// Says how many.
async fn take_those_that_are_there(
    log: &MongoLog,
    ours: &mut BTreeMap<Key, Ours>,
) -> Result<u64, LogUnavailable> {
    let keys: Vec<_> = ours.keys().cloned().collect();
    let begun = Instant::now();
    let theirs = loop {
        match log.find_all(&keys).await {
            Err(_) if begun.elapsed() < PATIENCE => sleep(PAUSE).await,
            found => break found?,
        }
    };
    let mut taken = 0;
    for theirs in theirs {
        let key = (theirs.event_id.clone(), theirs.endpoint.clone());
        let has_all = |ours: &Ours| theirs.includes(&ours.record);
        if ours.get(&key).is_some_and(has_all) {
            ours.remove(&key);
            taken += 1;
        }
    }
    Ok(taken)
}

async fn write(log: &MongoLog, results: &[AttemptResult]) -> Result<(), LogUnavailable> {
    let begun = Instant::now();
    loop {
        match log.write(results).await {
            Err(_) if begun.elapsed() < PATIENCE => sleep(PAUSE).await,
            written => return written.map(drop),
        }
    }
}

impl Ours {
    fn of(results: Vec<AttemptResult>) -> Option<Self> {
        let mut record = DeliveryRecord::first(results.first()?);
        results.iter().for_each(|result| record.merge(result));
        Some(Self { record, results })
    }
}
