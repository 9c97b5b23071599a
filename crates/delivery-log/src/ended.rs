//! Deliveries as they end.
//!
//! Followed by a change stream: no index has the time at which a delivery ended,
//! one more would cost every write, and a search by the time of acceptance misses
//! what ended long after it. A change stream reads what the server keeps for its
//! replicas anyway, and asks nothing of the collection.

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
    connection::{COLLECTION, within_limit},
};

/// How long the server may wait for something to tell, each time it is asked.
const LISTEN: Duration = Duration::from_secs(1);
/// Ends that are remembered, so that none is told twice.
const REMEMBERED: usize = 10_000;

// Codes of MongoDB's list of error codes.
const NO_REPLICA_SET: i32 = 40573;
const HISTORY_LOST: i32 = 286;

/// A delivery that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The event's id.
    pub event_id: String,
    /// The event's name.
    pub event: String,
    /// Where it went.
    pub endpoint: String,
    /// The endpoint's URL, as it may be shown.
    pub webhook_url: String,
    /// Delivered, or given up.
    pub delivered: bool,
    /// The status code of the last answer, where there was one.
    pub status_code: Option<i32>,
    /// Retries that its last round took.
    pub retry_count: i32,
    /// What went wrong.
    pub error: Option<String>,
    /// When the event was accepted.
    pub accepted_at: UnixMillis,
    /// When the delivery ended.
    pub ended_at: UnixMillis,
}

/// Which deliveries are meant; an empty part means all.
#[derive(Debug, Clone, Default)]
pub struct EndedFilter {
    /// Names of events.
    pub events: Vec<String>,
    /// Names of endpoints.
    pub endpoints: Vec<String>,
    /// `Some(true)` for the delivered, `Some(false)` for those given up.
    pub delivered: Option<bool>,
}

/// Why deliveries can't be followed.
#[derive(Debug, Error)]
pub enum FollowError {
    /// For now; asking again goes on where it was.
    #[error(transparent)]
    Log(#[from] LogUnavailable),
    #[error(
        "MongoDB tells of changes as a replica set only; a single server can be one (--replSet)"
    )]
    NoReplicaSet,
    #[error("MongoDB's oplog does not reach back that far; ask for less time")]
    HistoryLost,
}

/// Deliveries, in the order in which the log heard of their end.
pub struct Following {
    records: Collection<RawDocumentBuf>,
    pipeline: Vec<Document>,
    since: Option<UnixMillis>,
    /// None after it broke; the next call makes it anew.
    stream: Option<ChangeStream<ChangeStreamEvent<RawDocumentBuf>>>,
    reached: Option<ResumeToken>,
    told: Told,
}

impl MongoLog {
    /// Follows the deliveries that end from now on, or have ended since.
    ///
    /// # Errors
    /// When the server is away, is no replica set, or no longer knows.
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
            told: Told::default(),
        };
        following.stream = Some(following.open().await?);
        Ok(following)
    }
}

impl Following {
    /// Waits for the next one. After [`FollowError::Log`] the next call goes on
    /// where this one was.
    ///
    /// # Errors
    /// When the server is away, or no longer knows what came next.
    pub async fn next(&mut self) -> Result<Ended, FollowError> {
        loop {
            let mut stream = match self.stream.take() {
                Some(stream) if stream.is_alive() => stream,
                _ => self.open().await?,
            };
            let change = within_limit(stream.next_if_any()).await;
            self.reached = stream.resume_token().or(self.reached.take());
            let change = change.map_err(explained)?;
            self.stream = Some(stream);
            let ended = change.and_then(|change| read(change.full_document.as_deref()?));
            if let Some(ended) = ended
                && self.told.is_new(&ended)
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
            .max_await_time(LISTEN);
        let watch = match (&self.reached, self.since) {
            (Some(token), _) => watch.resume_after(token.clone()),
            (None, Some(since)) => watch.start_at_operation_time(Timestamp {
                time: u32::try_from(since.seconds()).unwrap_or_default(),
                increment: 1,
            }),
            (None, None) => watch,
        };
        within_limit(watch).await.map_err(explained)
    }
}

fn explained(error: LogUnavailable) -> FollowError {
    let code = match &error {
        LogUnavailable::Server(error) => code(error),
        _ => None,
    };
    match code {
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

/// The server itself leaves out what nobody asked for, and every payload.
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

/// None for what is no record of ours.
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

/// The server looks a record up after its change: when the next change has come
/// already, it tells the same end twice.
#[derive(Debug, Default)]
struct Told {
    known: HashSet<(String, UnixMillis)>,
    by_age: VecDeque<(String, UnixMillis)>,
}

impl Told {
    fn is_new(&mut self, ended: &Ended) -> bool {
        let end = (
            format!("{}/{}", ended.event_id, ended.endpoint),
            ended.ended_at,
        );
        if !self.known.insert(end.clone()) {
            return false;
        }
        self.by_age.push_back(end);
        if self.by_age.len() > REMEMBERED
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}
