//! Thread that owns the data file: collects requests, writes them in one transaction,
//! replies, delivers messages, and repeats.

mod faults;
mod loading;
mod upkeep;
mod writing;

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
use wahook_delivery_log::LogUnavailable;
use wahook_domain::UnixMillis;
use wahook_queue::{
    LinkState, PublishError, Topology,
    local::{Command, SharedQueue, Tag},
    topology::DEAD_QUEUE,
};
use wahook_runtime::clock;

use crate::{
    batch::Change, damage::Damage, declared, error::unavailable, messages, queues::Queues,
    reclaim::Reclaim, records, request::Request, retention,
};

/// Maximum number of requests in one transaction.
const MAX_REQUESTS: usize = 1_024;
/// Interval for work without a request: probing a full disk, and reading messages that
/// another process has written to the file.
const TICK: Duration = Duration::from_millis(500);

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
    /// Requests for depths, to answer after the changes that came before them.
    depths: Vec<(String, oneshot::Sender<u32>)>,
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
            depths: Vec::new(),
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
            self.answer_depths();
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

    fn answer_depths(&mut self) {
        for (queue, answer) in std::mem::take(&mut self.depths) {
            if queue == DEAD_QUEUE {
                self.queues.reread_dead_letters();
            }
            let depth = messages::count(&self.db, &queue).unwrap_or_else(|error| {
                self.record_read_error(&error);
                0
            });
            let leased = self.queues.leased_count(&queue);
            // The receiver of a reply may be gone.
            let _ = answer.send(depth.saturating_sub(leased));
        }
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
            Request::Write(writing) => return Some(Change::Write(writing)),
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
            Command::GiveUp(id) => {
                let unsettled = self.queues.give_up(id);
                return Some(Change::Return(unsettled.into_iter().map(Tag).collect()));
            }
            Command::Count(queue, answer) => {
                let count = self.queues.subscribers(&queue);
                let _ = answer.send(count.try_into().unwrap_or(u32::MAX));
            }
            Command::Depth(queue, answer) => self.depths.push((queue, answer)),
            // If the receiver is gone, dropping the messages requeues them.
            Command::Take(take) => {
                let taken = self.take(&take.queue, take.messages, take.bytes);
                let _ = take.answer.send(taken);
            }
            // The engine repeats writes, and reports faults by its link.
            Command::Failure(answer) => {
                let _ = answer.send(None);
            }
            // Answered without the engine.
            Command::Census(_) => {}
            Command::Reassign(_, answer) => {
                // Its messages may be in memory.
                let _ = answer.send(Err(PublishError::Refused));
            }
        }
        None
    }
}
