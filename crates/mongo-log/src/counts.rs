//! Counts deliveries by outcome, on the server.

use std::time::Duration;

use mongodb::{
    bson::{Bson, DateTime, Document, doc},
    error::Error as ServerError,
};
use wahook_delivery_log::{CountBy, Counts, LogUnavailable};
use wahook_domain::{Status, UnixMillis};

use crate::{
    MongoLog,
    connection::{COLLECTION, unavailable},
};

/// Time limit on the server, so that a count over a long period does not slow down
/// its other work.
const COUNT_LIMIT: Duration = Duration::from_secs(60);

impl MongoLog {
    /// Counts the deliveries of events accepted at or after `since` and before
    /// `until`. Reads the index on `createdAt` and every record in the range.
    ///
    /// # Errors
    /// If the server is unavailable or needs more than 60 s.
    pub(crate) async fn count(
        &self,
        since: UnixMillis,
        until: UnixMillis,
        by: CountBy,
    ) -> Result<Vec<Counts>, LogUnavailable> {
        let records = self.database.collection::<Document>(COLLECTION);
        let counting = records
            .aggregate(pipeline(since, until, by))
            .max_time(COUNT_LIMIT);
        let all = async {
            let mut cursor = counting.await?;
            let mut counts = Vec::new();
            while cursor.advance().await? {
                counts.push(read(&cursor.deserialize_current()?));
            }
            Ok::<_, ServerError>(counts)
        };
        // A frozen server does not enforce its own limit.
        let limit = COUNT_LIMIT + Duration::from_secs(5);
        match tokio::time::timeout(limit, all).await {
            Ok(counts) => counts.map_err(unavailable),
            Err(_) => Err(LogUnavailable::NoAnswer(limit)),
        }
    }
}

fn pipeline(since: UnixMillis, until: UnixMillis, by: CountBy) -> [Document; 2] {
    let date = |moment: UnixMillis| DateTime::from_millis(moment.get());
    let has = |status: Status| doc! { "$eq": ["$status", status.as_str()] };
    let number_of = |condition: Document| doc! { "$sum": { "$cond": [condition, 1, 0] } };
    // Documents that users added have no attempts, but may count retries.
    let retries = doc! { "$cond": [
        { "$isArray": "$attempts" },
        { "$subtract": [{ "$size": { "$ifNull": ["$attempts", []] } }, 1] },
        { "$ifNull": ["$retryCount", 0] },
    ] };
    let at_first_attempt = doc! { "$and": [
        has(Status::Success), { "$eq": [retries.clone(), 0] },
    ] };
    [
        doc! { "$match": { "createdAt": { "$gte": date(since), "$lt": date(until) } } },
        doc! { "$group": {
            "_id": format!("${}", by.as_str()),
            "success": number_of(has(Status::Success)),
            "failed": number_of(has(Status::Failed)),
            "retrying": number_of(has(Status::Retrying)),
            "atFirstAttempt": number_of(at_first_attempt),
            "retries": { "$sum": retries },
        } },
    ]
}

fn read(group: &Document) -> Counts {
    let number = |name| match group.get(name) {
        Some(Bson::Int32(value)) => u64::try_from(*value).unwrap_or_default(),
        Some(Bson::Int64(value)) => u64::try_from(*value).unwrap_or_default(),
        _ => 0,
    };
    Counts {
        kind: group.get_str("_id").unwrap_or("unknown").to_owned(),
        success: number("success"),
        failed: number("failed"),
        retrying: number("retrying"),
        at_first_attempt: number("atFirstAttempt"),
        retries: number("retries"),
    }
}
