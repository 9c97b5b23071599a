//! Jobs of operators in the tables `wahookjobs` and `wahookjobitems`.

use rusqlite::{
    Connection, OptionalExtension, Row, Transaction, TransactionBehavior, named_params, params,
};
use wahook_delivery_log::LogFuture;
use wahook_domain::UnixMillis;
use wahook_operator_state::{
    ClaimedJob, EndState, Hold, ITEMS_AT_ONCE, JOB_LEASE, Job, JobEnd, JobReport, JobStore,
    JobWork, MOST_ENDED_JOBS, MOST_RUNNING_JOBS, NewJob, Next, Progress,
};
use wahook_runtime::clock;

use crate::EmbeddedOperatorState;

const SELECT: &str = "SELECT _id, kind, who, count, createdAt, done, failed, notes, cancelled, \
     state, endedAt, error, jobOrder, claim FROM wahookjobs";

impl JobStore for EmbeddedOperatorState {
    fn add<'a>(&'a self, new: &'a NewJob) -> LogFuture<'a, bool> {
        let new = new.clone();
        self.db.run(move |db| add(db, &new))
    }

    fn jobs(&self) -> LogFuture<'_, Vec<Job>> {
        self.db.run(|db| {
            let newest_first = format!("{SELECT} ORDER BY createdAt DESC, _id DESC");
            let mut statement = db.prepare_cached(&newest_first)?;
            statement.query_map([], job)?.collect()
        })
    }

    fn job<'a>(&'a self, id: &'a str) -> LogFuture<'a, Option<Job>> {
        let id = id.to_owned();
        self.db.run(move |db| find(db, &id))
    }

    fn cancel<'a>(&'a self, id: &'a str) -> LogFuture<'a, Option<Job>> {
        let id = id.to_owned();
        self.db.run(move |db| {
            let cancel = "UPDATE wahookjobs SET cancelled = 1 WHERE _id = ? AND state = 'running'";
            db.execute(cancel, [&id])?;
            find(db, &id)
        })
    }
}

impl JobWork for EmbeddedOperatorState {
    fn claim<'a>(&'a self, claim: &'a str) -> LogFuture<'a, Option<ClaimedJob>> {
        let claim = claim.to_owned();
        self.db.run(move |db| claim_next(db, &claim))
    }

    fn items<'a>(&'a self, id: &'a str, position: u64) -> LogFuture<'a, Vec<String>> {
        let id = id.to_owned();
        self.db.run(move |db| items(db, &id, position))
    }

    fn report<'a>(&'a self, report: &'a JobReport) -> LogFuture<'a, Hold> {
        let report = report.clone();
        self.db.run(move |db| store(db, &report))
    }
}

fn add(db: &mut Connection, new: &NewJob) -> rusqlite::Result<bool> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let running: u32 = transaction.query_row(
        "SELECT count(*) FROM wahookjobs WHERE state = 'running'",
        [],
        |row| row.get(0),
    )?;
    if running >= MOST_RUNNING_JOBS {
        return Ok(false);
    }
    let job = &new.job;
    transaction.execute(
        "INSERT INTO wahookjobs (_id, kind, who, count, createdAt, jobOrder, notes) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            job.id,
            job.kind,
            job.who,
            signed(job.count),
            job.created_at.get(),
            new.order,
            job.progress.notes,
        ],
    )?;
    for (part, items) in new.items.chunks(ITEMS_AT_ONCE).enumerate() {
        // A list of texts always has a JSON form.
        let items = serde_json::to_string(items).unwrap_or_default();
        transaction.execute(
            "INSERT INTO wahookjobitems (job, part, items) VALUES (?, ?, ?)",
            params![job.id, signed(part), items],
        )?;
    }
    transaction.execute(
        "DELETE FROM wahookjobs WHERE _id IN (SELECT _id FROM wahookjobs \
         WHERE state <> 'running' ORDER BY createdAt DESC, _id DESC LIMIT -1 OFFSET ?)",
        [MOST_ENDED_JOBS],
    )?;
    transaction.commit()?;
    Ok(true)
}

fn find(db: &Connection, id: &str) -> rusqlite::Result<Option<Job>> {
    let by_id = format!("{SELECT} WHERE _id = ?");
    let mut statement = db.prepare_cached(&by_id)?;
    statement.query_row([id], job).optional()
}

/// Reads before it writes, so that a search for work does not write to the file.
fn claim_next(db: &mut Connection, claim: &str) -> rusqlite::Result<Option<ClaimedJob>> {
    let free = "state = 'running' AND claimedUntil < ?";
    let now = clock::now();
    let any = format!("SELECT 1 FROM wahookjobs WHERE {free}");
    if !db.prepare_cached(&any)?.exists([now.get()])? {
        return Ok(None);
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let oldest = format!("{SELECT} WHERE {free} ORDER BY createdAt, _id LIMIT 1");
    let claimed = transaction.query_row(&oldest, [now.get()], |row| {
        Ok(ClaimedJob {
            job: job(row)?,
            order: row.get(12)?,
            is_resumed: row.get::<_, Option<String>>(13)?.is_some(),
        })
    });
    let claimed = claimed.optional()?;
    if let Some(claimed) = &claimed {
        transaction.execute(
            "UPDATE wahookjobs SET claim = ?, claimedUntil = ? WHERE _id = ?",
            params![claim, now.plus(JOB_LEASE).get(), claimed.job.id],
        )?;
    }
    transaction.commit()?;
    Ok(claimed)
}

fn items(db: &Connection, id: &str, position: u64) -> rusqlite::Result<Vec<String>> {
    let position = usize::try_from(position).unwrap_or(usize::MAX);
    let (part, skipped) = (position / ITEMS_AT_ONCE, position % ITEMS_AT_ONCE);
    let mut statement =
        db.prepare_cached("SELECT items FROM wahookjobitems WHERE job = ? AND part = ?")?;
    let stored = statement.query_row(params![id, signed(part)], |row| row.get::<_, String>(0));
    let Some(stored) = stored.optional()? else {
        return Ok(Vec::new());
    };
    let items: Vec<String> = serde_json::from_str(&stored).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })?;
    Ok(items.into_iter().skip(skipped).collect())
}

fn store(db: &mut Connection, report: &JobReport) -> rusqlite::Result<Hold> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let until = match report.next {
        Next::Continue => clock::now().plus(JOB_LEASE).get(),
        Next::Release | Next::End(_) => 0,
    };
    let progress = &report.progress;
    let is_cancelled = transaction.query_row(
        "UPDATE wahookjobs SET done = :done, failed = :failed, notes = :notes, \
         claimedUntil = :until WHERE _id = :job AND claim = :claim AND state = 'running' \
         RETURNING cancelled",
        named_params! {
            ":done": signed(progress.done),
            ":failed": signed(progress.failed),
            ":notes": progress.notes,
            ":until": until,
            ":job": report.job,
            ":claim": report.claim,
        },
        |row| row.get(0),
    );
    let Some(is_cancelled) = is_cancelled.optional()? else {
        return Ok(Hold::Lost);
    };
    if let Next::End(end) = &report.next {
        close(&transaction, &report.job, end)?;
    }
    transaction.commit()?;
    Ok(if is_cancelled {
        Hold::Cancelled
    } else {
        Hold::Held
    })
}

/// Ends a job, and removes its items.
fn close(db: &Transaction<'_>, id: &str, end: &JobEnd) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE wahookjobs SET state = ?, endedAt = ?, error = ? WHERE _id = ?",
        params![end.state.name(), end.at.get(), end.error, id],
    )?;
    db.execute("DELETE FROM wahookjobitems WHERE job = ?", [id])?;
    Ok(())
}

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let number = |column| -> rusqlite::Result<u64> {
        let number: i64 = row.get(column)?;
        Ok(u64::try_from(number).unwrap_or_default())
    };
    let state: String = row.get(9)?;
    let ended_at: Option<i64> = row.get(10)?;
    let end = EndState::parse(&state).map(|state| JobEnd {
        at: UnixMillis::new(ended_at.unwrap_or_default()),
        state,
        error: row.get(11).unwrap_or_default(),
    });
    Ok(Job {
        id: row.get(0)?,
        kind: row.get(1)?,
        who: row.get(2)?,
        count: number(3)?,
        created_at: UnixMillis::new(row.get(4)?),
        progress: Progress {
            done: number(5)?,
            failed: number(6)?,
            notes: row.get(7)?,
        },
        is_cancelled: row.get(8)?,
        end,
    })
}

fn signed<T: TryInto<i64>>(number: T) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
