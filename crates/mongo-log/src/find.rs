//! Reads single records.

use std::{collections::HashMap, sync::Arc};

use mongodb::bson::{RawArray, RawBsonRef, RawDocument, doc};
use wahook_delivery_log::{LogUnavailable, record_key};
use wahook_domain::{
    Attempt, AttemptNumber, DeliveryRecord, EndpointName, EventId, EventName, UnixMillis,
};

use crate::{MongoLog, connection::within_limit};

/// Reason why a stored record is unreadable.
type Unreadable = String;

pub(crate) async fn find(
    log: &MongoLog,
    id: &EventId,
    endpoint: &EndpointName,
) -> Result<Option<DeliveryRecord>, LogUnavailable> {
    let key = record_key(id, endpoint);
    let records = log.confirmed_records();
    let query = records
        .find_one(doc! { "_id": &key })
        .projection(doc! { "event": 1, "createdAt": 1, "attempts": 1 });
    let Some(stored) = within_limit(query).await? else {
        return Ok(None);
    };
    match record(&stored, id, endpoint) {
        Ok(record) => Ok(Some(record)),
        Err(reason) => Err(LogUnavailable::Unreadable { id: key, reason }),
    }
}

impl MongoLog {
    /// Returns the existing, readable records of these deliveries, in no particular order.
    ///
    /// # Errors
    /// If the server is unavailable.
    pub async fn find_all(
        &self,
        deliveries: &[(EventId, EndpointName)],
    ) -> Result<Vec<DeliveryRecord>, LogUnavailable> {
        let wanted: HashMap<_, _> = deliveries
            .iter()
            .map(|delivery| (record_key(&delivery.0, &delivery.1), delivery))
            .collect();
        let keys: Vec<_> = wanted.keys().collect();
        let records = self.confirmed_records();
        let query = records
            .find(doc! { "_id": { "$in": keys } })
            .projection(doc! { "event": 1, "createdAt": 1, "attempts": 1 });
        let mut cursor = within_limit(query).await?;
        let mut found = Vec::new();
        while within_limit(cursor.advance()).await? {
            let stored = cursor.current();
            let delivery = stored.get_str("_id").ok().and_then(|key| wanted.get(key));
            if let Some((id, endpoint)) = delivery
                && let Ok(record) = record(stored, id, endpoint)
            {
                found.push(record);
            }
        }
        Ok(found)
    }
}

pub(crate) fn record(
    stored: &RawDocument,
    id: &EventId,
    endpoint: &EndpointName,
) -> Result<DeliveryRecord, Unreadable> {
    let event = stored.get_str("event").map_err(|e| e.to_string())?;
    let attempts = stored.get_array("attempts").map_err(|e| e.to_string())?;
    Ok(DeliveryRecord {
        event_id: id.clone(),
        endpoint: endpoint.clone(),
        event: EventName::parse(event).map_err(|e| e.to_string())?,
        created_at: date(stored, "createdAt")?.ok_or("createdAt is missing")?,
        attempts: read_attempts(attempts)?,
    })
}

fn read_attempts(stored: &RawArray) -> Result<Vec<Attempt>, Unreadable> {
    let mut attempts = Vec::new();
    for entry in stored {
        let entry = entry.map_err(|e| e.to_string())?;
        let entry = entry.as_document().ok_or("an attempt is not a document")?;
        attempts.push(read_attempt(entry)?);
    }
    if attempts.is_empty() {
        return Err("no attempts".to_owned());
    }
    Ok(attempts)
}

fn read_attempt(stored: &RawDocument) -> Result<Attempt, Unreadable> {
    let number = integer(stored, "number")?.and_then(|number| u32::try_from(number).ok());
    let status_code = integer(stored, "statusCode")?;
    Ok(Attempt {
        queued_at: date(stored, "queuedAt")?.ok_or("queuedAt is missing")?,
        number: number
            .and_then(AttemptNumber::new)
            .ok_or("number is not an attempt number")?,
        started_at: date(stored, "startedAt")?.ok_or("startedAt is missing")?,
        duration_ms: integer(stored, "durationMs")?.ok_or("durationMs is missing")?,
        status_code: status_code
            .map(u16::try_from)
            .transpose()
            .map_err(|_| "statusCode is not a status code")?,
        error: text(stored, "error")?.map(str::to_owned),
        next_attempt_at: date(stored, "nextAttemptAt")?,
        webhook_url: Arc::from(text(stored, "webhookUrl")?.ok_or("webhookUrl is missing")?),
        response: text(stored, "response")?.map(Arc::from),
        other_event: flag(stored, "otherEvent")?,
    })
}

fn text<'a>(stored: &'a RawDocument, name: &str) -> Result<Option<&'a str>, Unreadable> {
    read(stored, name, |value| value.as_str())
}

fn flag(stored: &RawDocument, name: &str) -> Result<bool, Unreadable> {
    Ok(read(stored, name, |value| value.as_bool())?.unwrap_or_default())
}

fn integer(stored: &RawDocument, name: &str) -> Result<Option<i64>, Unreadable> {
    read(stored, name, |value| match value {
        RawBsonRef::Int32(value) => Some(value.into()),
        RawBsonRef::Int64(value) => Some(value),
        _ => None,
    })
}

fn date(stored: &RawDocument, name: &str) -> Result<Option<UnixMillis>, Unreadable> {
    read(stored, name, |value| match value {
        RawBsonRef::DateTime(time) => Some(UnixMillis::new(time.timestamp_millis())),
        _ => None,
    })
}

/// Reads an optional field; `None` if it is null or missing.
fn read<'a, T>(
    stored: &'a RawDocument,
    name: &str,
    convert: impl FnOnce(RawBsonRef<'a>) -> Option<T>,
) -> Result<Option<T>, Unreadable> {
    match stored.get(name).map_err(|e| e.to_string())? {
        None | Some(RawBsonRef::Null) => Ok(None),
        Some(value) => match convert(value) {
            Some(value) => Ok(Some(value)),
            None => Err(format!("{name} has an unexpected type")),
        },
    }
}
