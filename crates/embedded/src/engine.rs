//! Thread that owns the data file: collects requests, writes them in one transaction,
//! replies, delivers messages, and repeats.

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
    DeathReason, LinkState, PublishError, Topology,
    local::{Command, SharedQueue, Tag},
};
use wahook_runtime::clock;

use crate::{
    batch::{BatchWriter, Change, Outcome},
    damage::Damage,
    declared,
    error::unavailable,
    messages,
    queues::{Queues, Ready},
    reclaim::Reclaim,
    records, retention,
};

/// Maximum number of requests in one transaction.
const MAX_REQUESTS: usize = 1_024;
/// Maximum number of unconfirmed publishes; more are rejected.
pub(crate) const MAX_UNCONFIRMED: usize = 8_192;
/// Interval for work without a request: probing a full disk, and reading messages that
/// another process has written to the file.
const TICK: Duration = Duration::from_millis(500);
/// Interval between removals of expired records.
const REMOVE_EVERY: Duration = Duration::from_secs(60);
/// Maximum number of messages per read of a queue.
const READ_BATCH: usize = 512;
/// Deviation of the wall clock from the monotonic clock, in milliseconds, above which the
/// wall clock was set.
const CLOCK_STEP_MS: i64 = 1_000;

/// Request to the store's thread.
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
    /// Receives the settlements of leased messages.
    shared: SharedQueue,
    link: watch::Sender<LinkState>,
    unconfirmed: Arc<AtomicUsize>,
    topology: Topology,
    queues: Queues,
    next_seq: i64,
    /// Last message in the file when it was opened. Messages up to it may have been
    /// delivered by a previous process.
    last_seq_at_open: i64,
    /// Settlements that could not be written yet.
    postponed: Vec<Change>,
    retention_days: Option<u32>,
    removed_at: Instant,
    /// Error of the last transaction, if it failed.
    write_error: Option<String>,
    damage: Damage,
    reclaim: Reclaim,
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
            tracing::warn!(%error, "queue names of the previous process could not be removed");
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
            last_seq_at_open: last,
            postponed: Vec::new(),
            retention_days: None,
            removed_at: Instant::now(),
            write_error: None,
            damage: Damage::default(),
            reclaim: Reclaim::new(),
            clocks: (clock::now(), Instant::now()),
        })
    }

    /// Runs until [`Request::Stop`], after all earlier requests.
    pub(crate) fn run(mut self) {
        let mut stopping = false;
        while !stopping {
            let mut changes = std::mem::take(&mut self.postponed);
            stopping = self.gather(&mut changes);
            let now = self.now();
            let result = self.write(changes, now);
            self.record_write_error(result.err());
            if self.write_error.is_none()
                && let Err(error) = self.refill(now)
            {
                self.record_read_error(&error);
            }
            self.queues.deliver(&self.shared);
            if self.fault().is_none()
                && let Err(error) = self.reclaim.step(&self.db)
            {
                tracing::warn!(%error, "free space of the data file was not returned");
            }
        }
        if let Err(error) = self.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::debug!(%error, "final checkpoint failed");
        }
    }

    /// Waits for a request and takes all that are pending. Returns true on a stop request.
    fn gather(&mut self, changes: &mut Vec<Change>) -> bool {
        let mut next = match self.requests.recv_timeout(self.next_wait()) {
            Ok(request) => Some(request),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return true,
        };
        let mut taken = 0;
        while let Some(request) = next {
            if matches!(request, Request::Stop) {
                return true;
            }
            changes.extend(self.handle(request));
            taken += 1;
            next = if taken < MAX_REQUESTS {
                self.requests.try_recv().ok()
            } else {
                None
            };
        }
        false
    }

    /// Returns the time until the next message is due, at most [`TICK`].
    fn next_wait(&self) -> Duration {
        if self.fault().is_some() {
            return TICK;
        }
        let limit = self.reclaim.wait().unwrap_or(TICK);
        match messages::next_due(&self.db) {
            Ok(Some(due)) => due.since(clock::now()).min(limit),
            _ => limit,
        }
    }

    /// Executes a request that does not change messages or records; returns any other as a
    /// change.
    fn handle(&mut self, request: Request) -> Option<Change> {
        // The receiver of a reply may be gone.
        match request {
            Request::Queue(command) => return self.handle_command(command),
            Request::Write { results, answer } => return Some(Change::Write { results, answer }),
            Request::Find {
                id,
                endpoint,
                answer,
            } => {
                let found = records::find(&self.db, &id, &endpoint);
                if let Err(error) = &found {
                    self.record_read_error(error);
                }
                let _ = answer.send(found.map_err(unavailable));
            }
            Request::Retain { days, answer } => {
                self.retention_days = days;
                let stored = retention::store(&self.db, days);
                let _ = answer.send(stored.map_err(unavailable));
            }
            Request::Ping(answer) => {
                let _ = answer.send(match self.fault() {
                    None => Ok(()),
                    Some(reason) => Err(LogUnavailable::File(reason.to_owned())),
                });
            }
            Request::Stop => {}
        }
        None
    }

    fn handle_command(&mut self, command: Command) -> Option<Change> {
        match command {
            Command::Declare(topology) => {
                self.topology.absorb(&topology);
                if let Err(error) = declared::add(&self.db, &topology) {
                    tracing::warn!(%error, "queue names could not be stored for `dead redrive`");
                }
            }
            Command::Publish(outgoing, confirm) => {
                self.unconfirmed.fetch_sub(1, Ordering::Relaxed);
                if self.damage.reason().is_some() {
                    let _ = confirm.send(Err(PublishError::Refused));
                    return None;
                }
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
                let depth = messages::count(&self.db, &queue).unwrap_or_else(|error| {
                    self.record_read_error(&error);
                    0
                });
                let leased = self.queues.leased_count(&queue);
                let _ = answer.send(depth.saturating_sub(leased));
            }
            Command::Take(queue, answer) => {
                if let Err(error) = self.refill_one(&queue) {
                    self.record_read_error(&error);
                }
                // If the receiver is gone, dropping the message requeues it.
                let _ = answer.send(self.queues.lease_one(&queue, &self.shared));
            }
        }
        None
    }

    /// Writes all changes in one transaction and replies to their callers.
    fn write(&mut self, changes: Vec<Change>, now: UnixMillis) -> rusqlite::Result<()> {
        let next_due = messages::next_due(&self.db).unwrap_or_else(|error| {
            self.record_read_error(&error);
            None
        });
        let is_due = next_due.is_some_and(|due| due <= now);
        let removes = self.is_removal_due();
        if changes.is_empty() && !is_due && !removes && self.write_error.is_none() {
            return Ok(());
        }
        let written = self.transaction(|engine| {
            let mut writer = engine.batch_writer(now);
            let moved = if is_due {
                writer.move_due()?
            } else {
                Vec::new()
            };
            let mut outcomes = Vec::with_capacity(changes.len());
            for change in &changes {
                outcomes.push(writer.execute(change)?);
            }
            Ok((moved, outcomes, writer.next_seq))
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
            self.apply_outcome(change, outcome);
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
        if self.write_error.is_some() {
            // Only a write detects that the disk is full.
            let probe = "INSERT INTO waiting (due_at, queue, body) \
                         VALUES (0, '', zeroblob(8192)); \
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
        // After some errors SQLite has already rolled back.
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "failed transaction could not be rolled back");
        }
    }

    fn batch_writer(&self, now: UnixMillis) -> BatchWriter<'_> {
        BatchWriter {
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

    /// Confirms a committed change and updates the queues in memory.
    fn apply_outcome(&mut self, change: Change, outcome: Outcome) {
        match (change, outcome) {
            (
                Change::Publish {
                    message, confirm, ..
                },
                Outcome::Published(destinations),
            ) => {
                let _ = confirm.send(Ok(()));
                for (queue, seq) in destinations {
                    self.queues.arrived(&queue, seq, &message);
                }
            }
            (Change::Settle(Tag(seq), _), Outcome::Removed(dead_letter)) => {
                self.queues.settled(seq);
                if let Some((queue, seq, message)) = dead_letter {
                    self.queues.arrived(&queue, seq, &message);
                }
            }
            (Change::Settle(Tag(seq), _), Outcome::Requeued(queue, message)) => {
                self.queues.settled(seq);
                self.queues.requeued(&queue, seq, message);
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

    /// Loads messages for all queues that need a refill. Returns the first error, after all
    /// queues.
    fn refill(&mut self, now: UnixMillis) -> rusqlite::Result<()> {
        let mut refilled = Ok(());
        for (queue, cursor) in self.queues.needing_refill() {
            let loaded = self.load(&queue, cursor, READ_BATCH, now);
            refilled = refilled.and(loaded);
        }
        refilled
    }

    fn refill_one(&mut self, queue: &str) -> rusqlite::Result<()> {
        // A loaded message may have been dead-lettered, so continue until one is ready.
        while let Some(cursor) = self.queues.refill_cursor(queue) {
            self.load(queue, cursor, 1, clock::now())?;
        }
        Ok(())
    }

    /// Loads the next messages of a queue. A message from before this process may have been
    /// delivered then, and may have caused the crash. Its delivery is therefore counted
    /// durably before it is delivered again.
    fn load(
        &mut self,
        queue: &str,
        cursor: i64,
        max: usize,
        now: UnixMillis,
    ) -> rusqlite::Result<()> {
        let (found, are_all) = messages::after(&self.db, queue, cursor, max)?;
        let last_seq_at_open = self.last_seq_at_open;
        let may_have_been_delivered = |seq| seq <= last_seq_at_open;
        let mut dead_lettered = Vec::new();
        if found.iter().any(|row| may_have_been_delivered(row.seq)) {
            let (dead_letters, next_seq) = self.transaction(|engine| {
                let mut writer = engine.batch_writer(now);
                let mut dead_letters = Vec::new();
                for row in found.iter().filter(|row| may_have_been_delivered(row.seq)) {
                    let deliveries = messages::count_delivery(&engine.db, row.seq)?;
                    if writer.exceeds_delivery_limit(queue, deliveries) {
                        let reason = DeathReason::DeliveryLimit;
                        dead_letters.push((row.seq, writer.dead_letter(row.seq, queue, reason)?));
                    }
                }
                Ok((dead_letters, writer.next_seq))
            })?;
            self.next_seq = next_seq;
            dead_lettered = dead_letters.into_iter().map(|(seq, _)| seq).collect();
        }
        let ready = found.into_iter().map(|row| {
            let ready = Ready {
                seq: row.seq,
                redelivered: may_have_been_delivered(row.seq) || row.deliveries > 0,
                message: row.message,
            };
            (
                ready.seq,
                (!dead_lettered.contains(&ready.seq)).then_some(ready),
            )
        });
        let ready = ready.collect();
        self.queues.loaded(queue, ready, are_all);
        Ok(())
    }

    fn is_removal_due(&self) -> bool {
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

    /// Logs when the data file becomes unwritable or writable, and updates the link state.
    fn record_write_error(&mut self, error: Option<rusqlite::Error>) {
        if let Some(error) = &error
            && self.damage.observe(error)
        {
            self.publish_fault();
        }
        let write_error = error.map(|error| error.to_string());
        if write_error.is_some() == self.write_error.is_some() {
            return;
        }
        match &write_error {
            // Logged, and permanent.
            _ if self.damage.reason().is_some() => {}
            Some(reason) => {
                tracing::error!(reason, "data file not writable, rejecting events");
            }
            None => tracing::info!("data file writable again, accepting events"),
        }
        self.write_error = write_error;
        self.publish_fault();
    }

    /// Logs a read error; after damage of the file, rejects events from now on.
    fn record_read_error(&mut self, error: &rusqlite::Error) {
        if self.damage.observe(error) {
            self.publish_fault();
        } else if self.damage.reason().is_none() {
            tracing::warn!(%error, "messages could not be read from the data file");
        }
    }

    /// Returns the reason for rejecting events, if there is one.
    fn fault(&self) -> Option<&str> {
        self.damage.reason().or(self.write_error.as_deref())
    }

    fn publish_fault(&self) {
        let fault = self.fault().map(str::to_owned);
        self.link.send_modify(|link| link.blocked = fault);
    }

    /// Returns the wall clock time. If the clock was set, shifts the due times of waiting
    /// messages first.
    fn now(&mut self) -> UnixMillis {
        let (wall, steady) = (clock::now(), Instant::now());
        let (wall_before, steady_before) = self.clocks;
        let passed = steady.saturating_duration_since(steady_before);
        let step = wall.get() - wall_before.plus(passed).get();
        self.clocks = (wall, steady);
        if step.abs() > CLOCK_STEP_MS {
            match messages::shift_waiting(&self.db, step) {
                Ok(waiting) => {
                    tracing::warn!(step_ms = step, waiting, "clock was set, due times adjusted");
                }
                Err(error) => {
                    tracing::warn!(%error, step_ms = step, "clock was set, due times unchanged");
                }
            }
        }
        wall
    }
}
