//! Messages that are loaded from the file into the queues in memory.

use wahook_domain::UnixMillis;
use wahook_queue::{DeathReason, local::Delivered};
use wahook_runtime::clock;

use super::Engine;
use crate::{messages, queues::Ready};

/// Maximum number of messages per read of a queue.
const READ_BATCH: usize = 512;

impl Engine {
    /// Loads messages for all queues that need a refill. Returns the first error, after all
    /// queues.
    pub(super) fn refill(&mut self, now: UnixMillis) -> rusqlite::Result<()> {
        let mut refilled = Ok(());
        for (queue, cursor) in self.queues.needing_refill() {
            let loaded = self.load(&queue, cursor, READ_BATCH, now);
            refilled = refilled.and(loaded);
        }
        refilled
    }

    /// Leases the next messages of a queue without a subscription, at most `most`, and none
    /// after `bytes` of bodies.
    pub(super) fn take(&mut self, queue: &str, most: usize, bytes: usize) -> Vec<Delivered> {
        let (mut taken, mut taken_bytes) = (Vec::new(), 0);
        while taken.len() < most && (taken.is_empty() || taken_bytes < bytes) {
            if let Err(error) = self.refill_empty(queue, most - taken.len()) {
                self.record_read_error(&error);
            }
            let Some((size, next)) = self.queues.lease_one(queue, &self.shared) else {
                break;
            };
            taken_bytes += size;
            taken.push(next);
        }
        taken
    }

    /// Loads messages for a queue that has none ready.
    fn refill_empty(&mut self, queue: &str, max: usize) -> rusqlite::Result<()> {
        // Loaded messages may have been dead-lettered, so continue until one is ready.
        while let Some(cursor) = self.queues.refill_cursor(queue) {
            self.load(queue, cursor, max.min(READ_BATCH), clock::now())?;
        }
        Ok(())
    }

    /// Loads the next messages of a queue. A message from before this process may have been
    /// delivered then, and may have caused the crash. If its queue limits deliveries, its
    /// delivery is counted durably before it is delivered again.
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
        let is_limited = self
            .topology
            .rules(queue)
            .is_some_and(|rules| rules.delivery_limit.is_some());
        if is_limited && found.iter().any(|row| may_have_been_delivered(row.seq)) {
            let (dead_letters, next_seq) = self.transaction(|engine| {
                let mut writer = engine.batch_writer(now);
                let mut dead_letters = Vec::new();
                for row in found.iter().filter(|row| may_have_been_delivered(row.seq)) {
                    let deliveries = messages::count_delivery(&engine.db, row.seq)?;
                    if deliveries.is_some_and(|n| writer.exceeds_delivery_limit(queue, n)) {
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
}
