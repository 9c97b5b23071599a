//! The thread that owns the file: gathers requests, writes them in one transaction, answers
//! them, hands out messages, and begins again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use wahook_delivery_log::{LogUnavailable, WriteReport};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId, UnixMillis};
use wahook_queue::{
    LinkState, Topology,
    local::{Command, SharedQueue, Tag},
    stored::DeathReason,
};
use wahook_runtime::clock;

use crate::{
    batch::{Change, Outcome, Writing},
    declared, messages,
    queues::{Queues, Ready},
    records,
};

/// Requests of one transaction, at the most.
const MOST_AT_ONCE: usize = 1_024;
/// Publishes that may wait for their confirms; more are refused.
pub(crate) const MAX_UNCONFIRMED: usize = 8_192;
/// How often is looked at what nobody asks for: whether the disk has room again, and whether
/// another program has put something into the file.
const TICK: Duration = Duration::from_millis(500);
/// How often old records are removed.
const REMOVE_EVERY: Duration = Duration::from_secs(60);
/// Messages that are read from the file at once.
const READ_AT_ONCE: usize = 512;
/// A wall clock that is off by more than this against the steady one was set.
const CLOCK_WAS_SET: i64 = 1_000;

/// What the thread is asked for.
pub(crate) enum Request {
    Queue(Command),
    Write {
        results: Vec<AttemptResult>,
        answer: oneshot::Sender<Result<WriteReport, LogUnavailable>>,
    },
    Find {
        id: EventId,
        endpoint: EndpointName,
        answer: oneshot::Sender<Result<Option<DeliveryRecord>, LogUnavailable>>,
    },
    Retain {
        days: Option<u32>,
        answer: oneshot::Sender<Result<(), LogUnavailable>>,
    },
    Ping(oneshot::Sender<Result<(), LogUnavailable>>),
    Stop,
}

pub(crate) struct Engine {
    db: Connection,
    requests: Receiver<Request>,
    /// What messages that are handed out are given back to.
    shared: SharedQueue,
    link: watch::Sender<LinkState>,
    /// Publishes that wait for their confirms.
    unconfirmed: Arc<AtomicUsize>,
    topology: Topology,
    queues: Queues,
    next_seq: i64,
    /// The last message that was there when the file was opened: it and those before may
    /// have been handed out then.
    last_of_before: i64,
    /// Settlements that could not be written yet.
    postponed: Vec<Change>,
    retention_days: Option<u32>,
    removed_at: Instant,
    /// Why the last transaction failed.
    trouble: Option<String>,
    clocks: (UnixMillis, Instant),
}

impl Drop for Engine {
    fn drop(&mut self) {
        let reason = "the store has stopped".to_owned();
        self.link.send_modify(|link| link.lost(reason));
    }
}

impl Engine {
    pub(crate) fn new(
        db: Connection,
        requests: Receiver<Request>,
        shared: SharedQueue,
        link: watch::Sender<LinkState>,
        unconfirmed: Arc<AtomicUsize>,
    ) -> rusqlite::Result<Self> {
        let last: Option<i64> =
            db.query_row("SELECT max(seq) FROM messages", [], |row| row.get(0))?;
        let last = last.unwrap_or_default();
        if let Err(error) = declared::forget(&db) {
            tracing::warn!(%error, "the names of the queues before can't be removed");
        }
        Ok(Self {
            db,
            requests,
            shared,
            link,
            unconfirmed,
            topology: Topology::default(),
            queues: Queues::default(),
            next_seq: last + 1,
            last_of_before: last,
            postponed: Vec::new(),
            retention_days: None,
            removed_at: Instant::now(),
            trouble: None,
            clocks: (clock::now(), Instant::now()),
        })
    }

    /// Works until it is told to stop; then everything that was asked before is done.
    pub(crate) fn run(mut self) {
        let mut stopping = false;
        while !stopping {
            let mut changes = std::mem::take(&mut self.postponed);
            stopping = self.gather(&mut changes);
            let now = self.now();
            let result = self.write(changes, now);
            self.note(result.err());
            if self.trouble.is_none()
                && let Err(error) = self.fill(now)
            {
                tracing::warn!(%error, "messages can't be read from the file");
            }
            self.queues.hand_out(&self.shared);
        }
        if let Err(error) = self.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::debug!(%error, "no last checkpoint");
        }
    }

    /// Waits for a request and takes what else is there; says whether it is told to stop.
    fn gather(&mut self, changes: &mut Vec<Change>) -> bool {
        let mut next = match self.requests.recv_timeout(self.patience()) {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return true,
        };
        let mut taken = 0;
        while let Some(request) = next {
            if matches!(request, Request::Stop) {
                return true;
            }
            changes.extend(self.take(request));
            taken += 1;
            next = if taken < MOST_AT_ONCE {
                self.requests.try_recv().ok()
            } else {
                None
            };
        }
        false
    }

    /// Until the next message is due, and no longer than a tick.
    fn patience(&self) -> Duration {
        match messages::next_due(&self.db) {
            Ok(Some(due)) => due.since(clock::now()).min(TICK),
            _ => TICK,
        }
    }

    /// Does at once what changes nothing in the file; what does is a change.
    fn take(&mut self, request: Request) -> Option<Change> {
        // Whoever waited for an answer may be gone.
        match request {
            Request::Queue(command) => return self.command(command),
            Request::Write { results, answer } => return Some(Change::Write { results, answer }),
            Request::Find {
                id,
                endpoint,
                answer,
            } => {
                let found = records::find(&self.db, &id, &endpoint);
                let _ = answer.send(found.map_err(|e| LogUnavailable::File(e.to_string())));
            }
            Request::Retain { days, answer } => {
                self.retention_days = days;
                let _ = answer.send(Ok(()));
            }
            Request::Ping(answer) => {
                let _ = answer.send(match &self.trouble {
                    None => Ok(()),
                    Some(reason) => Err(LogUnavailable::File(reason.clone())),
                });
            }
            Request::Stop => {}
        }
        None
    }

    fn command(&mut self, command: Command) -> Option<Change> {
        match command {
            Command::Declare(topology) => {
                self.topology.absorb(&topology);
                if let Err(error) = declared::add(&self.db, &topology) {
                    tracing::warn!(%error, "the names of the queues can't be written down");
                }
            }
            Command::Publish(outgoing, confirm) => {
                self.unconfirmed.fetch_sub(1, Ordering::Relaxed);
                return Change::publish(*outgoing, confirm, &self.topology);
            }
            Command::Settle(tag, settlement) => return Some(Change::Settle(tag, settlement)),
            Command::Subscribe(subscriber) => self.queues.subscribe(subscriber),
            Command::Cancel(id) => self.queues.cancel(id),
            Command::Count(queue, answer) => {
                let count = self.queues.subscribers(&queue);
                let _ = answer.send(count.try_into().unwrap_or(u32::MAX));
            }
            Command::Depth(queue, answer) => {
                let depth = messages::count(&self.db, &queue).unwrap_or_default();
                let handed = self.queues.handed_out(&queue);
                let _ = answer.send(depth.saturating_sub(handed));
            }
            Command::Take(queue, answer) => {
                if let Err(error) = self.fill_one(&queue) {
                    tracing::warn!(%error, "messages can't be read from the file");
                }
                // Where nobody waits any longer, the message goes back by itself.
                let _ = answer.send(self.queues.take(&queue, &self.shared));
            }
        }
        None
    }

    /// Writes everything, or nothing; tells everybody.
    fn write(&mut self, changes: Vec<Change>, now: UnixMillis) -> rusqlite::Result<()> {
        let next_due = messages::next_due(&self.db).unwrap_or_default();
        let is_due = next_due.is_some_and(|due| due <= now);
        let removes = self.is_time_to_remove();
        if changes.is_empty() && !is_due && !removes && self.trouble.is_none() {
            return Ok(());
        }
        let written = self.transaction(|engine| {
            let mut writing = engine.writing(now);
            let moved = if is_due {
                writing.move_due()?
            } else {
                Vec::new()
            };
            let mut outcomes = Vec::with_capacity(changes.len());
            for change in &changes {
                outcomes.push(writing.carry_out(change)?);
            }
            Ok((moved, outcomes, writing.next_seq))
        });
        let (moved, outcomes, next_seq) = match written {
            Ok(written) => written,
            Err(error) => {
                self.fail(changes, &error);
                return Err(error);
            }
        };
        self.next_seq = next_seq;
        for (queue, seq, message) in moved {
            self.queues.arrived(&queue, seq, &message);
        }
        for (change, outcome) in changes.into_iter().zip(outcomes) {
            self.conclude(change, outcome);
        }
        if removes {
            self.remove_old(now)?;
        }
        Ok(())
    }

    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        if self.trouble.is_some() {
            // A disk that is full is found out only by writing.
            let probe = "INSERT INTO waiting (due_at, queue, properties, body) \
                         VALUES (0, '', '{}', zeroblob(8192)); \
                         DELETE FROM waiting WHERE queue = ''";
            if let Err(error) = self.db.execute_batch(probe) {
                self.roll_back();
                return Err(error);
            }
        }
        let done = work(self).and_then(|done| {
            self.db.execute_batch("COMMIT")?;
            Ok(done)
        });
        if done.is_err() {
            self.roll_back();
        }
        done
    }

    fn roll_back(&self) {
        // SQLite has done so by itself after some errors.
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "a failed transaction can't be rolled back");
        }
    }

    fn writing(&self, now: UnixMillis) -> Writing<'_> {
        Writing {
            db: &self.db,
            topology: &self.topology,
            queues: &self.queues,
            now,
            next_seq: self.next_seq,
        }
    }

    fn fail(&mut self, changes: Vec<Change>, error: &rusqlite::Error) {
        let reason = error.to_string();
        let settlements = changes
            .into_iter()
            .filter_map(|change| change.fail(&reason));
        self.postponed = settlements
            .map(|(tag, settlement)| Change::Settle(tag, settlement))
            .collect();
    }

    /// What follows from a change that is committed.
    fn conclude(&mut self, change: Change, outcome: Outcome) {
        match (change, outcome) {
            (
                Change::Publish {
                    message, confirm, ..
                },
                Outcome::Kept(places),
            ) => {
                let _ = confirm.send(Ok(()));
                for (queue, seq) in places {
                    self.queues.arrived(&queue, seq, &message);
                }
            }
            (Change::Settle(Tag(seq), _), Outcome::Ended(letter)) => {
                self.queues.settled(seq);
                if let Some((queue, seq, message)) = letter {
                    self.queues.arrived(&queue, seq, &message);
                }
            }
            (Change::Settle(Tag(seq), _), Outcome::Returned(queue, message)) => {
                self.queues.settled(seq);
                self.queues.returned(&queue, seq, message);
            }
            (Change::Write { results, answer }, _) => {
                let _ = answer.send(Ok(WriteReport {
                    written: results.len(),
                    ..WriteReport::default()
                }));
            }
            _ => {}
        }
    }

    /// Reads what is next for those who have nothing left.
    fn fill(&mut self, now: UnixMillis) -> rusqlite::Result<()> {
        for (queue, cursor) in self.queues.hungry() {
            self.fill_queue(&queue, cursor, READ_AT_ONCE, now)?;
        }
        Ok(())
    }

    fn fill_one(&mut self, queue: &str) -> rusqlite::Result<()> {
        // What is read may be dead, and not to be handed out.
        while let Some(cursor) = self.queues.is_empty_after(queue) {
            self.fill_queue(queue, cursor, 1, clock::now())?;
        }
        Ok(())
    }

    /// What is from before this process may have been handed out then, and may be what ended
    /// it. So that is counted, durably, before it is handed out again.
    fn fill_queue(
        &mut self,
        queue: &str,
        cursor: i64,
        most: usize,
        now: UnixMillis,
    ) -> rusqlite::Result<()> {
        let (found, are_all) = messages::after(&self.db, queue, cursor, most)?;
        let last_of_before = self.last_of_before;
        let is_of_before = |seq| seq <= last_of_before;
        let mut buried = Vec::new();
        if found.iter().any(|resting| is_of_before(resting.seq)) {
            let (letters, next_seq) = self.transaction(|engine| {
                let mut writing = engine.writing(now);
                let mut letters = Vec::new();
                for resting in found.iter().filter(|resting| is_of_before(resting.seq)) {
                    let deliveries = messages::count_delivery(&engine.db, resting.seq)?;
                    if writing.is_too_many(queue, deliveries) {
                        let reason = DeathReason::DeliveryLimit;
                        letters.push((resting.seq, writing.bury(resting.seq, queue, reason)?));
                    }
                }
                Ok((letters, writing.next_seq))
            })?;
            self.next_seq = next_seq;
            buried = letters.into_iter().map(|(seq, _)| seq).collect();
        }
        let ready = found.into_iter().map(|resting| {
            let ready = Ready {
                seq: resting.seq,
                redelivered: is_of_before(resting.seq) || resting.deliveries > 0,
                message: resting.message,
            };
            (ready.seq, (!buried.contains(&ready.seq)).then_some(ready))
        });
        let ready = ready.collect();
        self.queues.filled(queue, ready, are_all);
        Ok(())
    }

    fn is_time_to_remove(&self) -> bool {
        self.retention_days.is_some() && self.removed_at.elapsed() >= REMOVE_EVERY
    }

    fn remove_old(&mut self, now: UnixMillis) -> rusqlite::Result<()> {
        let Some(days) = self.retention_days else {
            return Ok(());
        };
        let oldest = now.minus(Duration::from_secs(u64::from(days) * 24 * 60 * 60));
        let more = records::remove_before(&self.db, oldest)?;
        if !more {
            self.removed_at = Instant::now();
        }
        Ok(())
    }

    /// Tells operators when the file takes nothing, and when it does again.
    fn note(&mut self, error: Option<rusqlite::Error>) {
        let trouble = error.map(|error| error.to_string());
        if trouble.is_some() == self.trouble.is_some() {
            return;
        }
        match &trouble {
            Some(reason) => {
                tracing::error!(reason, "the data file takes nothing: events are refused");
            }
            None => tracing::info!("the data file takes events again"),
        }
        self.link.send_modify(|link| link.blocked = trouble.clone());
        self.trouble = trouble;
    }

    /// The time, after putting right what was waited for by a clock that was set meanwhile.
    fn now(&mut self) -> UnixMillis {
        let (wall, steady) = (clock::now(), Instant::now());
        let (wall_before, steady_before) = self.clocks;
        let passed = steady.saturating_duration_since(steady_before);
        let step = wall.get() - wall_before.plus(passed).get();
        self.clocks = (wall, steady);
        if step.abs() > CLOCK_WAS_SET {
            match messages::shift_waiting(&self.db, step) {
                Ok(waiting) => tracing::warn!(step_ms = step, waiting, "the clock was set"),
                Err(error) => tracing::warn!(%error, step_ms = step, "the clock was set"),
            }
        }
        wall
    }
}
