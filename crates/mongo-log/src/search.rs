//! Searches for deliveries.

mod newest_first;

use std::{future::Future, time::Duration};

use mongodb::{
    Collection,
    bson::{DateTime, Document, RawDocumentBuf, doc},
    error::{Error as ServerError, ErrorKind},
};
use wahook_delivery_log::{
    Cursor, DeliverySearch, LogFuture, LogUnavailable, LoggedDelivery, Page, RecentEndpoint,
    SEARCH_LIMIT, SearchFilter, Summary, record_key,
};
use wahook_domain::{EndpointName, EventId, Status, UnixMillis};

use crate::{
    MongoLog,
    connection::{COLLECTION, unavailable},
    find, found, summary,
    survey::{self, BATCH},
};
use newest_first::NewestFirst;

/// Error code of a command that the server stopped at its time limit.
const TIME_LIMIT_EXCEEDED: i32 = 50;
/// Time that an answer has in addition to the limit of the search on the server.
const TRANSIT_LIMIT: Duration = Duration::from_secs(1);

impl DeliverySearch for MongoLog {
    fn search<'a>(
        &'a self,
        filter: &'a SearchFilter,
        cursor: Option<&'a Cursor>,
        limit: usize,
    ) -> LogFuture<'a, Page> {
        Box::pin(within_search(self.page(filter, cursor, limit)))
    }

    fn delivery<'a>(
        &'a self,
        id: &'a EventId,
        endpoint: &'a EndpointName,
    ) -> LogFuture<'a, Option<LoggedDelivery>> {
        Box::pin(async move {
            let key = record_key(id, endpoint);
            let records = self.records();
            let query = records
                .find_one(doc! { "_id": &key })
                .max_time(SEARCH_LIMIT);
            let Some(stored) = within_search(query.into_future()).await? else {
                return Ok(None);
            };
            let read = found::logged(&stored, id, endpoint);
            read.map_err(|reason| LogUnavailable::Unreadable { id: key, reason })
        })
    }

    fn summary(&self, since: UnixMillis, until: UnixMillis) -> LogFuture<'_, Summary> {
        let records = self.database.collection(COLLECTION);
        Box::pin(within_search(summary::read(records, since, until)))
    }

    fn recent(&self) -> LogFuture<'_, Vec<RecentEndpoint>> {
        Box::pin(within_search(self.recent_deliveries()))
    }
}

impl MongoLog {
    /// Returns the collection for reads as the URI wants them: also from a secondary.
    fn records(&self) -> Collection<RawDocumentBuf> {
        self.database.collection(COLLECTION)
    }

    async fn page(
        &self,
        filter: &SearchFilter,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, ServerError> {
        let records = self.records();
        let mut query = records
            .find(conditions(filter, cursor))
            .projection(found::projection())
            .sort(doc! { "createdAt": -1 })
            .batch_size(u32::try_from(limit).unwrap_or(BATCH).saturating_add(2))
            .max_time(SEARCH_LIMIT);
        if filter.event_id.is_some() {
            query = query.hint(mongodb::options::Hint::Keys(doc! { "_id": 1 }));
        }
        let mut matching = query.await?;
        let mut newest = NewestFirst::after(cursor, limit);
        while !newest.is_complete() && matching.advance().await? {
            if let Some(found) = found::read(matching.current()) {
                newest.push(found);
            }
        }
        Ok(newest.page())
    }

    async fn recent_deliveries(&self) -> Result<Vec<RecentEndpoint>, ServerError> {
        let records = self.records();
        let mut newest = records
            .find(doc! {})
            .projection(doc! { "event": 1, "createdAt": 1, "attempts": 1, "webhookUrl": 1 })
            .sort(doc! { "createdAt": -1 })
            .limit(BATCH.into())
            .max_time(SEARCH_LIMIT)
            .await?;
        let mut deliveries = Vec::new();
        while newest.advance().await? {
            let stored = newest.current();
            let Some((id, endpoint)) = survey::key(stored) else {
                continue;
            };
            if let Ok(record) = find::record(stored, &id, &endpoint) {
                let url = stored.get_str("webhookUrl").unwrap_or_default().to_owned();
                deliveries.push((endpoint, url, record.attempts));
            }
        }
        Ok(RecentEndpoint::group(deliveries))
    }
}

/// Awaits a search. A frozen server does not enforce its own limit.
async fn within_search<T>(
    search: impl Future<Output = Result<T, ServerError>>,
) -> Result<T, LogUnavailable> {
    let limit = SEARCH_LIMIT + TRANSIT_LIMIT;
    match tokio::time::timeout(limit, search).await {
        Ok(Err(error)) if is_too_slow(&error) => Err(LogUnavailable::TooSlow(SEARCH_LIMIT)),
        Ok(answer) => answer.map_err(unavailable),
        Err(_) => Err(LogUnavailable::NoAnswer(limit)),
    }
}

fn is_too_slow(error: &ServerError) -> bool {
    matches!(&*error.kind, ErrorKind::Command(error) if error.code == TIME_LIMIT_EXCEEDED)
}

/// Returns the conditions of a search. The time has one upper bound, which includes the time
/// of the cursor: deliveries of one millisecond are sorted by [`NewestFirst`].
fn conditions(filter: &SearchFilter, cursor: Option<&Cursor>) -> Document {
    let date = |time: UnixMillis| DateTime::from_millis(time.get());
    let mut wanted = Document::new();
    for (field, text) in [
        ("status", filter.status.map(Status::as_str)),
        ("event", filter.event.as_deref()),
        ("endpoint", filter.endpoint.as_deref()),
        ("source", filter.source.as_deref()),
        ("session", filter.session.as_deref()),
        ("chat", filter.chat.as_deref()),
        ("messageId", filter.message_id.as_deref()),
    ] {
        if let Some(text) = text {
            wanted.insert(field, text);
        }
    }
    if let Some(id) = &filter.event_id {
        // The keys of an event start with its id and a `/`; `0` is the character after it.
        let (first, end) = (format!("{id}/"), format!("{id}0"));
        wanted.insert("_id", doc! { "$gte": first, "$lt": end });
    }
    if let Some(code) = filter.status_code {
        wanted.insert("statusCode", i32::from(code));
    }
    if let Some(text) = &filter.error {
        wanted.insert("errorMessage", containing(text));
    }
    let mut time = Document::new();
    if let Some(since) = filter.since {
        time.insert("$gte", date(since));
    }
    let reached = cursor.map(|cursor| cursor.created_at);
    match (reached, filter.until) {
        (Some(reached), until) if until.is_none_or(|until| reached < until) => {
            time.insert("$lte", date(reached));
        }
        (_, Some(until)) => {
            time.insert("$lt", date(until));
        }
        _ => {}
    }
    if !time.is_empty() {
        wanted.insert("createdAt", time);
    }
    wanted
}

/// Returns the pattern of texts that contain this one.
fn containing(text: &str) -> Document {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_punctuation() {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    doc! { "$regex": pattern }
}

#[cfg(test)]
mod tests;
