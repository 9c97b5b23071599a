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
use wahook_delivery_log::{
    Ended, EndedFilter, EndedStream, FollowError, FollowFuture, LogUnavailable,
};
use wahook_domain::{Status, UnixMillis};

use crate::{
    MongoLog,
    connection::{COLLECTION, server_error, within_limit},
};

/// Maximum time that the server waits for a change before it replies.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Reported deliveries that are remembered, to report none twice.
const REMEMBERED: usize = 10_000;

// MongoDB error codes.
const NO_REPLICA_SET: i32 = 40573;
const HISTORY_LOST: i32 = 286;

/// Permanent reason why deliveries can't be followed.
#[derive(Debug, Error)]
enum FollowFault {
    #[error(
        "MongoDB has change streams only as a replica set; start it with --replSet, a single server is enough"
    )]
    NoReplicaSet,
    #[error("MongoDB's oplog does not go back that far; use a shorter period")]
    HistoryLost,
}

type Changes = ChangeStream<ChangeStreamEvent<RawDocumentBuf>>;

/// Stream of ended deliveries from a change stream.
pub(crate) struct Following {
    position: Position,
    /// `None` after a failure; the next call opens it again.
    changes: Option<Changes>,
    reported: RecentEnds,
}

/// Position in the changes of the collection.
struct Position {
    records: Collection<RawDocumentBuf>,
    pipeline: Vec<Document>,
    since: Option<UnixMillis>,
    reached: Option<ResumeToken>,
}

impl MongoLog {
    /// Follows the deliveries that end from now on, or that ended at or after `since`.
    ///
    /// # Errors
    /// If the server is unavailable, is not a replica set, or its oplog does not go
    /// back to `since`.
    pub(crate) async fn follow(
        &self,
        since: Option<UnixMillis>,
        filter: &EndedFilter,
    ) -> Result<Following, FollowError> {
        let position = Position {
            records: self.database.collection(COLLECTION),
            pipeline: pipeline(since, filter),
            since,
            reached: None,
        };
        Ok(Following {
            changes: Some(position.open().await?),
            position,
            reported: RecentEnds::default(),
        })
    }
}

impl EndedStream for Following {
    fn next(&mut self) -> FollowFuture<'_, Ended> {
        Box::pin(self.next_ended())
    }
}

impl Following {
    async fn next_ended(&mut self) -> Result<Ended, FollowError> {
        loop {
            let mut changes = match self.changes.take() {
                Some(changes) if changes.is_alive() => changes,
                _ => self.position.open().await?,
            };
            let change = within_limit(changes.next_if_any()).await;
            let reached = &mut self.position.reached;
            *reached = changes.resume_token().or(reached.take());
            let change = change.map_err(classify)?;
            self.changes = Some(changes);
            let ended = change.and_then(|change| read(change.full_document.as_deref()?));
            if let Some(ended) = ended
                && self.reported.is_new(&ended)
            {
                return Ok(ended);
            }
        }
    }
}

impl Position {
    async fn open(&self) -> Result<Changes, FollowError> {
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
    let fault = match server_error(&error).and_then(code) {
        Some(NO_REPLICA_SET) => FollowFault::NoReplicaSet,
        Some(HISTORY_LOST) => FollowFault::HistoryLost,
        _ => return FollowError::Log(error),
    };
    FollowError::Impossible(Box::new(fault))
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
    let marks = doc! { "$ifNull": ["$fullDocument.attempts.otherEvent", []] };
    let is_mixed = doc! { "$and": [{ "$isArray": marks.clone() }, { "$in": [true, marks] }] };
    vec![
        doc! { "$match": wanted },
        doc! { "$set": { "fullDocument.otherEvent": is_mixed } },
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
        other_event: record.get_bool("otherEvent").unwrap_or_default(),
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
