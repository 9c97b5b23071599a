//! Follows deliveries as they end, through a change stream.
//!
//! No index contains the time at which a delivery ended. An additional index would
//! slow down every write, and a search by the time of acceptance misses deliveries
//! that end much later. A change stream reads the oplog, which the server writes
//! anyway, and puts no load on the collection.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use mongodb::{
    Collection,
    bson::{DateTime, Document, RawDocument, RawDocumentBuf, Timestamp, doc},
    change_stream::{
        ChangeStream,
        event::{ChangeStreamEvent, ResumeToken},
    },
    error::{Error as ServerError, ErrorKind},
    options::FullDocumentType,
};
use thiserror::Error;
use wahook_domain::{Status, UnixMillis};

use crate::{
    LogUnavailable, MongoLog,
    connection::{COLLECTION, server_error, within_limit},
};

/// Maximum time that the server waits for a change before it replies.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Reported deliveries that are remembered, to report none twice.
const REMEMBERED: usize = 10_000;

// MongoDB error codes.
const NO_REPLICA_SET: i32 = 40573;
const HISTORY_LOST: i32 = 286;

/// Delivery that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Id of the event.
    pub event_id: String,
    /// Name of the event.
    pub event: String,
    /// Name of the endpoint.
    pub endpoint: String,
    /// URL of the endpoint, without secrets.
    pub webhook_url: String,
    /// True if delivered, false if failed for good.
    pub delivered: bool,
    /// Status code of the last response, if there was one.
    pub status_code: Option<i32>,
    /// Retries since the event was accepted or last redriven.
    pub retry_count: i32,
    /// Error of the last attempt.
    pub error: Option<String>,
    /// Time at which the event was accepted.
    pub accepted_at: UnixMillis,
    /// Time at which the delivery ended.
    pub ended_at: UnixMillis,
}

/// Filter for deliveries; an empty list matches all.
#[derive(Debug, Clone, Default)]
pub struct EndedFilter {
    /// Names of events.
    pub events: Vec<String>,
    /// Names of endpoints.
    pub endpoints: Vec<String>,
    /// `Some(true)` matches delivered events, `Some(false)` failed ones.
    pub delivered: Option<bool>,
}

/// Error while following deliveries.
#[derive(Debug, Error)]
pub enum FollowError {
    /// Temporary error; the next call continues from the same position.
    #[error(transparent)]
    Log(#[from] LogUnavailable),
    #[error(
        "MongoDB has change streams only as a replica set; start it with --replSet, a single server is enough"
    )]
    NoReplicaSet,
    #[error("MongoDB's oplog does not go back that far; use a shorter period")]
    HistoryLost,
}

/// Stream of ended deliveries, in the order in which the log recorded them.
pub struct Following {
    records: Collection<RawDocumentBuf>,
    pipeline: Vec<Document>,
    since: Option<UnixMillis>,
    /// `None` after a failure; the next call opens it again.
    stream: Option<ChangeStream<ChangeStreamEvent<RawDocumentBuf>>>,
    reached: Option<ResumeToken>,
    reported: RecentEnds,
}

impl MongoLog {
    /// Follows the deliveries that end from now on, or that ended at or after `since`.
    ///
    /// # Errors
    /// If the server is unavailable, is not a replica set, or its oplog does not go
    /// back to `since`.
    pub async fn follow(
        &self,
        since: Option<UnixMillis>,
        filter: &EndedFilter,
    ) -> Result<Following, FollowError> {
        let mut following = Following {
            records: self.database.collection(COLLECTION),
            pipeline: pipeline(since, filter),
            since,
            stream: None,
            reached: None,
            reported: RecentEnds::default(),
        };
        following.stream = Some(following.open().await?);
        Ok(following)
    }
}

impl Following {
    /// Waits for the next delivery. After [`FollowError::Log`] the next call continues
    /// from the same position.
    ///
    /// # Errors
    /// If the server is unavailable, or its oplog no longer contains the position.
    pub async fn next(&mut self) -> Result<Ended, FollowError> {
        loop {
            let mut stream = match self.stream.take() {
                Some(stream) if stream.is_alive() => stream,
                _ => self.open().await?,
            };
            let change = within_limit(stream.next_if_any()).await;
            self.reached = stream.resume_token().or(self.reached.take());
            let change = change.map_err(classify)?;
            self.stream = Some(stream);
            let ended = change.and_then(|change| read(change.full_document.as_deref()?));
            if let Some(ended) = ended
                && self.reported.is_new(&ended)
            {
                return Ok(ended);
            }
        }
    }

    async fn open(&self) -> Result<ChangeStream<ChangeStreamEvent<RawDocumentBuf>>, FollowError> {
        let watch = self
            .records
            .watch()
            .pipeline(self.pipeline.clone())
            .full_document(FullDocumentType::UpdateLookup)
            .max_await_time(MAX_WAIT);
        let watch = match (&self.reached, self.since) {
            (Some(token), _) => watch.resume_after(token.clone()),
            (None, Some(since)) => watch.start_at_operation_time(Timestamp {
                time: u32::try_from(since.seconds()).unwrap_or_default(),
                increment: 1,
            }),
            (None, None) => watch,
        };
        within_limit(watch).await.map_err(classify)
    }
}

fn classify(error: LogUnavailable) -> FollowError {
    match server_error(&error).and_then(code) {
        Some(NO_REPLICA_SET) => FollowError::NoReplicaSet,
        Some(HISTORY_LOST) => FollowError::HistoryLost,
        _ => FollowError::Log(error),
    }
}

fn code(error: &ServerError) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(error) => Some(error.code),
        _ => None,
    }
}

/// Builds the pipeline that filters on the server and drops the payloads.
fn pipeline(since: Option<UnixMillis>, filter: &EndedFilter) -> Vec<Document> {
    let (success, failed) = (Status::Success.as_str(), Status::Failed.as_str());
    let statuses = match filter.delivered {
        Some(true) => vec![success],
        Some(false) => vec![failed],
        None => vec![success, failed],
    };
    let mut ended = doc! { "$type": "date" };
    if let Some(since) = since {
        ended.insert("$gte", DateTime::from_millis(since.get()));
    }
    let mut wanted = doc! {
        "operationType": { "$in": ["insert", "update", "replace"] },
        "fullDocument.status": { "$in": statuses },
        "fullDocument.completedAt": ended,
    };
    if !filter.events.is_empty() {
        wanted.insert("fullDocument.event", doc! { "$in": &filter.events });
    }
    if !filter.endpoints.is_empty() {
        wanted.insert("fullDocument.endpoint", doc! { "$in": &filter.endpoints });
    }
    let unread = [
        "fullDocument.payload",
        "fullDocument.attempts",
        "updateDescription",
    ];
    vec![
        doc! { "$match": wanted },
        doc! { "$unset": unread.as_slice() },
    ]
}

/// Returns `None` if the document is not a delivery record.
fn read(record: &RawDocument) -> Option<Ended> {
    let text = |name| record.get_str(name).ok().map(str::to_owned);
    let number = |name| record.get_i32(name).ok();
    let date = |name| {
        let date = record.get_datetime(name).ok()?;
        Some(UnixMillis::new(date.timestamp_millis()))
    };
    Some(Ended {
        event_id: text("eventId")?,
        event: text("event")?,
        endpoint: text("endpoint")?,
        webhook_url: text("webhookUrl").unwrap_or_default(),
        delivered: text("status")? == Status::Success.as_str(),
        status_code: number("statusCode"),
        retry_count: number("retryCount").unwrap_or_default(),
        error: text("errorMessage"),
        accepted_at: date("createdAt")?,
        ended_at: date("completedAt")?,
    })
}

/// Recently reported deliveries. The server looks a record up after its change; if
/// the record has changed again by then, it reports the same end twice.
#[derive(Debug, Default)]
struct RecentEnds {
    keys: HashSet<(String, UnixMillis)>,
    by_age: VecDeque<(String, UnixMillis)>,
}

impl RecentEnds {
    fn is_new(&mut self, ended: &Ended) -> bool {
        let end = (
            format!("{}/{}", ended.event_id, ended.endpoint),
            ended.ended_at,
        );
        if !self.keys.insert(end.clone()) {
            return false;
        }
        self.by_age.push_back(end);
        if self.by_age.len() > REMEMBERED
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.keys.remove(&oldest);
        }
        true
    }
}
