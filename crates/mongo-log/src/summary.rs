//! Numbers of the deliveries of a period, counted on the server.

use mongodb::{
    Collection,
    bson::{Bson, DateTime, Document, doc},
    error::Error as ServerError,
};
use wahook_delivery_log::{HOUR_MS, SEARCH_LIMIT, Summary, Tally};
use wahook_domain::{Status, UnixMillis};

/// Counts the deliveries of events accepted at or after `since` and before `until`.
pub(crate) async fn read(
    records: Collection<Document>,
    since: UnixMillis,
    until: UnixMillis,
) -> Result<Summary, ServerError> {
    let mut groups = records
        .aggregate(pipeline(since, until))
        .max_time(SEARCH_LIMIT)
        .await?;
    let mut summary = Summary::new(since, until);
    while groups.advance().await? {
        if let Some(tally) = tally(&groups.deserialize_current()?) {
            summary.add(tally);
        }
    }
    Ok(summary)
}

fn pipeline(since: UnixMillis, until: UnixMillis) -> [Document; 2] {
    let date = |time: UnixMillis| DateTime::from_millis(time.get());
    let since_start = doc! { "$subtract": ["$createdAt", date(since)] };
    let hour = doc! { "$floor": { "$divide": [since_start, HOUR_MS] } };
    [
        doc! { "$match": { "createdAt": { "$gte": date(since), "$lt": date(until) } } },
        doc! { "$group": {
            "_id": {
                "hour": { "$toLong": hour },
                "event": "$event",
                "endpoint": "$endpoint",
                "status": "$status",
            },
            "count": { "$sum": 1 },
        } },
    ]
}

/// Returns `None` for documents that are not delivery records.
fn tally(group: &Document) -> Option<Tally> {
    let key = group.get_document("_id").ok()?;
    let text = |name| key.get_str(name).ok();
    let count = match group.get("count")? {
        Bson::Int32(count) => i64::from(*count),
        Bson::Int64(count) => *count,
        _ => return None,
    };
    Some(Tally {
        hour: key.get_i64("hour").ok()?,
        event: text("event")?.to_owned(),
        endpoint: text("endpoint")?.to_owned(),
        status: Status::parse(text("status")?)?,
        count: u64::try_from(count).ok()?,
    })
}
