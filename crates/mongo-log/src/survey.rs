//! Reads the state of many records, without payloads.

use std::collections::BTreeSet;

use mongodb::{
    Cursor,
    bson::{DateTime, Document, RawDocument, RawDocumentBuf, Regex, doc},
};
use wahook_delivery_log::{
    LogFuture, LogUnavailable, SurveyCursor, Surveyed, parse_record_key, record_key,
};
use wahook_domain::{EndpointName, EventId, Status, UnixMillis};

use crate::{MongoLog, connection::within_limit, find};

/// Records per batch of the server.
pub(crate) const BATCH: u32 = 1_000;

/// Cursor over records on the server.
pub(crate) struct Survey(Cursor<RawDocumentBuf>);

impl MongoLog {
    /// Reads the records of events accepted at or after `since` and before `until`.
    ///
    /// # Errors
    /// If the server is unavailable.
    pub(crate) async fn survey(
        &self,
        since: UnixMillis,
        until: UnixMillis,
    ) -> Result<Survey, LogUnavailable> {
        let date = |moment: UnixMillis| DateTime::from_millis(moment.get());
        let window = doc! { "$gte": date(since), "$lt": date(until) };
        self.look_up(doc! { "createdAt": window }).await
    }

    /// Reads the records of these events, for all endpoints.
    ///
    /// # Errors
    /// If the server is unavailable.
    pub(crate) async fn survey_of(&self, ids: &[EventId]) -> Result<Vec<Surveyed>, LogUnavailable> {
        // Ids contain no special characters of regular expressions, and a pattern with
        // a fixed prefix uses the index.
        let keys = ids.iter().filter_map(|id| {
            let pattern = format!("^{id}/").try_into().ok()?;
            let options = String::new().try_into().ok()?;
            Some(Regex { pattern, options })
        });
        let keys: Vec<_> = keys.collect();
        let mut survey = self.look_up(doc! { "_id": { "$in": keys } }).await?;
        let mut found = Vec::new();
        while let Some(record) = survey.next_record().await? {
            found.push(record);
        }
        Ok(found)
    }

    /// Returns the endpoints of the 1,000 newest records.
    ///
    /// # Errors
    /// If the server is unavailable.
    pub(crate) async fn recent_endpoints(&self) -> Result<BTreeSet<EndpointName>, LogUnavailable> {
        let records = self.confirmed_records();
        let query = records
            .find(doc! {})
            .projection(doc! { "_id": 1 })
            .sort(doc! { "createdAt": -1 })
            .limit(BATCH.into());
        let mut newest = within_limit(query).await?;
        let mut endpoints = BTreeSet::new();
        while within_limit(newest.advance()).await? {
            endpoints.extend(key(newest.current()).map(|(_, endpoint)| endpoint));
        }
        Ok(endpoints)
    }

    async fn look_up(&self, filter: Document) -> Result<Survey, LogUnavailable> {
        let records = self.confirmed_records();
        let query = records
            .find(filter)
            .projection(doc! {
                "status": 1, "event": 1, "createdAt": 1, "attempts": { "$slice": -1 },
            })
            .batch_size(BATCH);
        Ok(Survey(within_limit(query).await?))
    }
}

impl SurveyCursor for Survey {
    fn next(&mut self) -> LogFuture<'_, Option<Surveyed>> {
        Box::pin(self.next_record())
    }
}

impl Survey {
    async fn next_record(&mut self) -> Result<Option<Surveyed>, LogUnavailable> {
        if !within_limit(self.0.advance()).await? {
            return Ok(None);
        }
        read(self.0.current()).map(Some)
    }
}

fn read(stored: &RawDocument) -> Result<Surveyed, LogUnavailable> {
    let Some((id, endpoint)) = key(stored) else {
        return Ok(Surveyed::Foreign);
    };
    if stored.get_str("status").ok() == Some(Status::Success.as_str()) {
        return Ok(Surveyed::Delivered(id, endpoint));
    }
    let read = find::record(stored, &id, &endpoint);
    read.map(Surveyed::Open)
        .map_err(|reason| LogUnavailable::Unreadable {
            id: record_key(&id, &endpoint),
            reason,
        })
}

/// Parses the `_id` of a delivery record.
pub(crate) fn key(stored: &RawDocument) -> Option<(EventId, EndpointName)> {
    parse_record_key(stored.get_str("_id").ok()?)
}
