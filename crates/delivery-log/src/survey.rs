//! Reading many records, each for how it stands and nothing more.

use std::collections::BTreeSet;

use mongodb::{
    Cursor,
    bson::{DateTime, Document, RawDocument, RawDocumentBuf, Regex, doc},
};
use wahook_domain::{DeliveryRecord, EndpointName, EventId, Status, UnixMillis};

use crate::{LogUnavailable, MongoLog, connection::within_limit, find};

/// Records that the server sends at once.
const BATCH: u32 = 1_000;

/// How a record stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Surveyed {
    /// It is delivered, and stays so.
    Delivered(EventId, EndpointName),
    /// It is not (yet). The record has its last attempt alone, which is the one
    /// that decides.
    Open(DeliveryRecord),
    /// It is none of ours: users may keep documents of their own beside them.
    Foreign,
}

/// Records as they come from the server, in no order.
pub struct Survey(Cursor<RawDocumentBuf>);

impl MongoLog {
    /// The records of the events that were accepted at `since` or later, and
    /// before `until`.
    ///
    /// # Errors
    /// When the server is away.
    pub async fn survey(
        &self,
        since: UnixMillis,
        until: UnixMillis,
    ) -> Result<Survey, LogUnavailable> {
        let date = |moment: UnixMillis| DateTime::from_millis(moment.get());
        let window = doc! { "$gte": date(since), "$lt": date(until) };
        self.look_up(doc! { "createdAt": window }).await
    }

    /// The records of these events, at whichever endpoints.
    ///
    /// # Errors
    /// When the server is away.
    pub async fn survey_of(&self, ids: &[EventId]) -> Result<Vec<Surveyed>, LogUnavailable> {
        // An id has no character that means anything in a pattern, and one with a
        // fixed beginning is looked up in the index.
        let keys = ids.iter().filter_map(|id| {
            let pattern = format!("^{id}/").try_into().ok()?;
            let options = String::new().try_into().ok()?;
            Some(Regex { pattern, options })
        });
        let keys: Vec<_> = keys.collect();
        let mut survey = self.look_up(doc! { "_id": { "$in": keys } }).await?;
        let mut found = Vec::new();
        while let Some(record) = survey.next().await? {
            found.push(record);
        }
        Ok(found)
    }

    /// The endpoints of the events that were accepted last.
    ///
    /// # Errors
    /// When the server is away.
    pub async fn recent_endpoints(&self) -> Result<BTreeSet<EndpointName>, LogUnavailable> {
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

impl Survey {
    /// The next record, `None` after the last.
    ///
    /// # Errors
    /// When the server is away, or a record of ours can't be read.
    pub async fn next(&mut self) -> Result<Option<Surveyed>, LogUnavailable> {
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
            id: format!("{id}/{endpoint}"),
            reason,
        })
}

/// What names a record of ours.
fn key(stored: &RawDocument) -> Option<(EventId, EndpointName)> {
    let (id, endpoint) = stored.get_str("_id").ok()?.split_once('/')?;
    Some((
        EventId::parse(id).ok()?,
        EndpointName::parse(endpoint).ok()?,
    ))
}
