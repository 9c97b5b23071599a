//! Jobs of operators in the collections `wahookjobs` and `wahookjobitems`.
//!
//! Leases are compared with the clock of the server, because programs on several machines claim
//! jobs.

use std::time::Duration;

use mongodb::{
    Collection,
    bson::{DateTime, Document, doc},
    options::ReturnDocument,
};
use wahook_delivery_log::{LogFuture, LogUnavailable};
use wahook_domain::UnixMillis;
use wahook_operator_state::{
    ClaimedJob, EndState, Hold, ITEMS_AT_ONCE, JOB_LEASE, Job, JobEnd, JobReport, JobStore,
    JobWork, MOST_ENDED_JOBS, MOST_RUNNING_JOBS, NewJob, Next, Progress,
};

use crate::{
    MongoLog,
    connection::within_limit,
    operator_state::{date, moment, number, read_all, text},
};

const JOBS: &str = "wahookjobs";
const ITEMS: &str = "wahookjobitems";

/// Age from which items without a job are those of a program that ended while it added the job.
const LEFT_BEHIND: Duration = Duration::from_secs(60 * 60);

impl JobStore for MongoLog {
    fn add<'a>(&'a self, new: &'a NewJob) -> LogFuture<'a, bool> {
        Box::pin(async move {
            let running = doc! { "state": "running" };
            let count = within_limit(self.jobs_stored().count_documents(running)).await?;
            if count >= MOST_RUNNING_JOBS.into() {
                return Ok(false);
            }
            // Before the job, which may be claimed at once.
            self.add_items(new).await?;
            within_limit(self.jobs_stored().insert_one(document(new))).await?;
            self.remove_old().await?;
            Ok(true)
        })
    }

    fn jobs(&self) -> LogFuture<'_, Vec<Job>> {
        Box::pin(async move {
            let jobs = self.jobs_stored();
            let newest_first = doc! { "createdAt": -1, "_id": -1 };
            let found = within_limit(jobs.find(doc! {}).sort(newest_first)).await?;
            read_all(found, job).await
        })
    }

    fn job<'a>(&'a self, id: &'a str) -> LogFuture<'a, Option<Job>> {
        Box::pin(async move {
            let found = within_limit(self.jobs_stored().find_one(doc! { "_id": id })).await?;
            Ok(found.as_ref().and_then(job))
        })
    }

    fn cancel<'a>(&'a self, id: &'a str) -> LogFuture<'a, Option<Job>> {
        Box::pin(async move {
            let running = doc! { "_id": id, "state": "running" };
            let cancelled = doc! { "$set": { "cancelled": true } };
            within_limit(self.jobs_stored().update_one(running, cancelled)).await?;
            self.job(id).await
        })
    }
}

impl JobWork for MongoLog {
    fn claim<'a>(&'a self, claim: &'a str) -> LogFuture<'a, Option<ClaimedJob>> {
        Box::pin(async move {
            let free = doc! {
                "state": "running",
                "$expr": { "$lt": ["$claimedUntil", "$$NOW"] },
            };
            let claimed = doc! { "claim": { "$literal": claim }, "claimedUntil": lease_end() };
            let jobs = self.jobs_stored();
            let change = jobs
                .find_one_and_update(free, vec![doc! { "$set": claimed }])
                .sort(doc! { "createdAt": 1, "_id": 1 })
                .return_document(ReturnDocument::Before);
            let Some(before) = within_limit(change).await? else {
                return Ok(None);
            };
            Ok(job(&before).map(|job| ClaimedJob {
                job,
                order: text(&before, "order"),
                is_resumed: before.get_str("claim").is_ok(),
            }))
        })
    }

    fn items<'a>(&'a self, id: &'a str, position: u64) -> LogFuture<'a, Vec<String>> {
        Box::pin(async move {
            let position = usize::try_from(position).unwrap_or(usize::MAX);
            let (part, skipped) = (position / ITEMS_AT_ONCE, position % ITEMS_AT_ONCE);
            let items = self.durable(ITEMS);
            let part = doc! { "job": id, "_id": part_id(id, part) };
            let Some(found) = within_limit(items.find_one(part)).await? else {
                return Ok(Vec::new());
            };
            let items = found.get_array("items").into_iter().flatten();
            let items = items.filter_map(|item| item.as_str().map(str::to_owned));
            Ok(items.skip(skipped).collect())
        })
    }

    fn report<'a>(&'a self, report: &'a JobReport) -> LogFuture<'a, Hold> {
        Box::pin(async move {
            let claimed = doc! {
                "_id": &report.job,
                "claim": &report.claim,
                "state": "running",
            };
            let jobs = self.jobs_stored();
            let change = jobs.find_one_and_update(claimed, vec![doc! { "$set": changes(report) }]);
            let Some(stored) = within_limit(change).await? else {
                return Ok(Hold::Lost);
            };
            if matches!(report.next, Next::End(_)) {
                let items = self.durable(ITEMS);
                within_limit(items.delete_many(doc! { "job": &report.job })).await?;
            }
            Ok(if stored.get_bool("cancelled").unwrap_or_default() {
                Hold::Cancelled
            } else {
                Hold::Held
            })
        })
    }
}

impl MongoLog {
    fn jobs_stored(&self) -> Collection<Document> {
        self.durable(JOBS)
    }

    async fn add_items(&self, new: &NewJob) -> Result<(), LogUnavailable> {
        let items = self.durable(ITEMS);
        for (part, texts) in new.items.chunks(ITEMS_AT_ONCE).enumerate() {
            let id = &new.job.id;
            let document = doc! {
                "_id": part_id(id, part),
                "job": id,
                "at": date(new.job.created_at),
                "items": texts,
            };
            within_limit(items.insert_one(document)).await?;
        }
        Ok(())
    }

    /// Removes the oldest ended jobs, and items that belong to no job.
    async fn remove_old(&self) -> Result<(), LogUnavailable> {
        let jobs = self.jobs().await?;
        let (ended, running): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| job.end.is_some());
        let kept = usize::try_from(MOST_ENDED_JOBS).unwrap_or(usize::MAX);
        let old: Vec<_> = ended.iter().skip(kept).map(|job| job.id.as_str()).collect();
        if !old.is_empty() {
            let of_old = doc! { "_id": { "$in": old } };
            within_limit(self.jobs_stored().delete_many(of_old)).await?;
        }
        let running: Vec<_> = running.iter().map(|job| job.id.as_str()).collect();
        let before = DateTime::now().timestamp_millis();
        let before = before.saturating_sub(i64::try_from(LEFT_BEHIND.as_millis()).unwrap_or(0));
        let of_none = doc! {
            "job": { "$nin": running },
            "at": { "$lt": DateTime::from_millis(before) },
        };
        within_limit(self.durable(ITEMS).delete_many(of_none)).await?;
        Ok(())
    }
}

fn part_id(job: &str, part: usize) -> String {
    format!("{job}/{part:05}")
}

/// Returns the end of a lease that begins now, as an expression for the server.
fn lease_end() -> Document {
    let lease = i64::try_from(JOB_LEASE.as_millis()).unwrap_or(i64::MAX);
    doc! { "$add": ["$$NOW", lease] }
}

fn document(new: &NewJob) -> Document {
    let job = &new.job;
    doc! {
        "_id": &job.id,
        "kind": &job.kind,
        "who": &job.who,
        "count": signed(job.count),
        "createdAt": date(job.created_at),
        "order": &new.order,
        "done": 0_i64,
        "failed": 0_i64,
        "notes": &job.progress.notes,
        "cancelled": false,
        "state": "running",
        "claimedUntil": DateTime::from_millis(0),
    }
}

/// Returns the fields that a report sets, as expressions for the server.
fn changes(report: &JobReport) -> Document {
    let progress = &report.progress;
    let mut changes = doc! {
        "done": signed(progress.done),
        "failed": signed(progress.failed),
        "notes": { "$literal": &progress.notes },
        "claimedUntil": DateTime::from_millis(0),
    };
    match &report.next {
        Next::Continue => drop(changes.insert("claimedUntil", lease_end())),
        Next::Release => {}
        Next::End(JobEnd { at, state, error }) => changes.extend(doc! {
            "state": state.name(),
            "endedAt": date(*at),
            "error": { "$literal": error.as_deref() },
        }),
    }
    changes
}

/// Reads a job; `None` if the document is none.
fn job(stored: &Document) -> Option<Job> {
    let state = stored.get_str("state").ok()?;
    let end = EndState::parse(state).map(|state| JobEnd {
        at: stored
            .get_datetime("endedAt")
            .map_or(UnixMillis::new(0), moment),
        state,
        error: stored.get_str("error").ok().map(str::to_owned),
    });
    Some(Job {
        id: stored.get_str("_id").ok()?.to_owned(),
        kind: text(stored, "kind"),
        who: text(stored, "who"),
        count: number(stored, "count"),
        created_at: moment(stored.get_datetime("createdAt").ok()?),
        progress: Progress {
            done: number(stored, "done"),
            failed: number(stored, "failed"),
            notes: text(stored, "notes"),
        },
        is_cancelled: stored.get_bool("cancelled").unwrap_or_default(),
        end,
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
