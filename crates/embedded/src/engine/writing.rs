//! Transactions of the store's thread.

use wahook_domain::UnixMillis;
use wahook_queue::local::Tag;

use super::Engine;
use crate::{
    batch::{BatchWriter, Change, Outcome},
    messages,
};

impl Engine {
    /// Writes all changes in one transaction and replies to their callers.
    pub(super) fn write(&mut self, changes: Vec<Change>, now: UnixMillis) -> rusqlite::Result<()> {
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

    pub(super) fn transaction<T>(
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

    pub(super) fn batch_writer(&self, now: UnixMillis) -> BatchWriter<'_> {
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
        self.postponed = settlements.collect();
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
            (Change::Settle(tag, _), outcome) => self.apply_settled(tag, outcome),
            (Change::Return(tags), Outcome::Returned(outcomes)) => {
                for (tag, outcome) in tags.into_iter().zip(outcomes) {
                    self.apply_settled(tag, outcome);
                }
            }
            (Change::Write(writing), Outcome::Written(report)) => {
                let _ = writing.answer.send(Ok(report));
            }
            _ => {}
        }
    }
    /// Updates the queues in memory after a committed settlement.
    fn apply_settled(&mut self, Tag(seq): Tag, outcome: Outcome) {
        match outcome {
            Outcome::Removed(dead_letter) => {
                self.queues.settled(seq);
                if let Some((queue, seq, message)) = dead_letter {
                    self.queues.arrived(&queue, seq, &message);
                }
            }
            Outcome::Requeued(queue, message) => {
                self.queues.settled(seq);
                self.queues.requeued(&queue, seq, message);
            }
            _ => {}
        }
    }
}
