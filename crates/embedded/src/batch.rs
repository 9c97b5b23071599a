//! Changes that are written in one transaction, and their outcomes after the commit.

use rusqlite::Connection;
use tokio::sync::oneshot;
use wahook_delivery_log::{LogUnavailable, WriteReport};
use wahook_domain::UnixMillis;
use wahook_queue::{
    DeathReason, Outgoing, PublishError, Stored, Topology,
    local::{Settlement, Tag},
};

use crate::{messages, queues::Queues, records, request::Writing};

/// Maximum number of due messages that one transaction moves to their queues.
pub(crate) const MAX_DUE: usize = 500;

/// Change to the data file that was requested.
pub(crate) enum Change {
    Publish {
        message: Box<Stored>,
        /// Destinations; may be empty.
        destinations: Vec<Destination>,
        confirm: oneshot::Sender<Result<(), PublishError>>,
    },
    Settle(Tag, Settlement),
    /// Returns the unsettled messages of a lane to their places, the newest first.
    Return(Vec<Tag>),
    Write(Writing),
}

/// Destination of a published message.
pub(crate) enum Destination {
    /// Queue, immediately.
    Queue(String),
    /// Queue, after a delay in milliseconds.
    Wait(i64, String),
}

/// Outcome of a change, valid only after the commit.
pub(crate) enum Outcome {
    /// New messages, by queue and sequence number.
    Published(Vec<(String, i64)>),
    /// The message is removed; if it was dead-lettered, with its copy in the other queue.
    Removed(Option<(String, i64, Stored)>),
    /// The message is in its queue again.
    Requeued(String, Stored),
    /// Outcomes of the messages of a [`Change::Return`].
    Returned(Vec<Outcome>),
    /// The message was settled before.
    AlreadySettled,
    Written(WriteReport),
}

/// Executes the changes of one transaction.
pub(crate) struct BatchWriter<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) topology: &'a Topology,
    pub(crate) queues: &'a Queues,
    pub(crate) now: UnixMillis,
    /// Sequence number of the next message.
    pub(crate) next_seq: i64,
}

impl Change {
    /// Creates a publish. Fails its confirm and returns `None` if no queue matches.
    pub(crate) fn publish(
        outgoing: Outgoing,
        confirm: oneshot::Sender<Result<(), PublishError>>,
        topology: &Topology,
    ) -> Option<Self> {
        let (exchange, key) = outgoing.address();
        let queues = topology.route(exchange, key);
        if queues.is_empty() {
            // The publisher may be gone.
            let _ = confirm.send(Err(PublishError::Unroutable));
            return None;
        }
        let mut destinations = Vec::with_capacity(queues.len());
        for queue in queues {
            match topology.rules(queue).and_then(|rules| rules.wait_ms) {
                // A wait of zero drops the message.
                Some(0) => {}
                Some(millis) => destinations.push(Destination::Wait(millis, key.to_owned())),
                None => destinations.push(Destination::Queue(queue.to_owned())),
            }
        }
        Some(Self::Publish {
            message: Box::new(outgoing.into()),
            destinations,
            confirm,
        })
    }

    /// Reports that the change could not be written. Returns a settlement, to be written
    /// later: no caller waits for it, and its message must stay leased until then.
    pub(crate) fn fail(self, reason: &str) -> Option<Self> {
        match self {
            Self::Publish { confirm, .. } => {
                let _ = confirm.send(Err(PublishError::Refused));
                None
            }
            Self::Write(writing) => {
                let _ = writing
                    .answer
                    .send(Err(LogUnavailable::File(reason.to_owned())));
                None
            }
            Self::Settle(..) | Self::Return(_) => Some(self),
        }
    }
}

impl BatchWriter<'_> {
    pub(crate) fn execute(&mut self, change: &Change) -> rusqlite::Result<Outcome> {
        match change {
            Change::Publish {
                message,
                destinations,
                ..
            } => self.publish(message, destinations),
            Change::Settle(tag, settlement) => self.settle(*tag, *settlement),
            Change::Return(tags) => {
                let returned = tags
                    .iter()
                    .map(|tag| self.settle(*tag, Settlement::Redeliver));
                Ok(Outcome::Returned(returned.collect::<Result<_, _>>()?))
            }
            Change::Write(Writing {
                results, redaction, ..
            }) => {
                let mut report = WriteReport::default();
                for result in results {
                    if records::write(self.db, result, redaction.as_deref())? {
                        report.written += 1;
                    } else {
                        report.rejected += 1;
                    }
                }
                Ok(Outcome::Written(report))
            }
        }
    }

    /// Moves due messages to the ends of their queues.
    pub(crate) fn move_due(&mut self) -> rusqlite::Result<Vec<(String, i64, Stored)>> {
        let due = messages::due(self.db, self.now, MAX_DUE)?;
        let mut moved = Vec::with_capacity(due.len());
        for due in due {
            let seq = self.insert(&due.queue, &due.message)?;
            messages::delete_waiting(self.db, due.id)?;
            moved.push((due.queue, seq, due.message));
        }
        Ok(moved)
    }

    fn publish(
        &mut self,
        message: &Stored,
        destinations: &[Destination],
    ) -> rusqlite::Result<Outcome> {
        let mut published = Vec::with_capacity(destinations.len());
        for destination in destinations {
            match destination {
                Destination::Queue(queue) => {
                    published.push((queue.clone(), self.insert(queue, message)?));
                }
                Destination::Wait(millis, queue) => {
                    let due_at = UnixMillis::new(self.now.get().saturating_add(*millis));
                    messages::insert_waiting(self.db, due_at, Some(*millis), queue, message)?;
                }
            }
        }
        Ok(Outcome::Published(published))
    }

    fn settle(&mut self, tag: Tag, settlement: Settlement) -> rusqlite::Result<Outcome> {
        let Tag(seq) = tag;
        let Some(queue) = self.queues.queue_of(seq).map(str::to_owned) else {
            return Ok(Outcome::AlreadySettled);
        };
        match settlement {
            Settlement::Ack => {
                messages::delete(self.db, seq)?;
                Ok(Outcome::Removed(None))
            }
            Settlement::Reject => self.dead_letter(seq, &queue, DeathReason::Rejected),
            // Not tried, so it does not count towards the delivery limit.
            Settlement::Requeue => Ok(match messages::find(self.db, seq)? {
                Some(row) => Outcome::Requeued(queue, row.message),
                // Removed by another process, or acked by an earlier change of the transaction.
                None => Outcome::Removed(None),
            }),
            Settlement::Redeliver => {
                let Some(deliveries) = messages::count_delivery(self.db, seq)? else {
                    return Ok(Outcome::Removed(None));
                };
                if self.exceeds_delivery_limit(&queue, deliveries) {
                    return self.dead_letter(seq, &queue, DeathReason::DeliveryLimit);
                }
                Ok(match messages::find(self.db, seq)? {
                    Some(row) => Outcome::Requeued(queue, row.message),
                    None => Outcome::Removed(None),
                })
            }
        }
    }

    /// Moves a message to the dead letters of its queue, or removes it if there is no
    /// queue for dead letters.
    pub(crate) fn dead_letter(
        &mut self,
        seq: i64,
        queue: &str,
        reason: DeathReason,
    ) -> rusqlite::Result<Outcome> {
        let row = messages::find(self.db, seq)?;
        messages::delete(self.db, seq)?;
        let rules = self.topology.rules(queue);
        let Some((row, dead_letters)) = row.zip(rules.and_then(|rules| rules.dead_letters)) else {
            return Ok(Outcome::Removed(None));
        };
        let dead_letter = row.message.died(queue, reason, self.now);
        let seq = self.insert(dead_letters, &dead_letter)?;
        Ok(Outcome::Removed(Some((
            dead_letters.to_owned(),
            seq,
            dead_letter,
        ))))
    }

    pub(crate) fn exceeds_delivery_limit(&self, queue: &str, deliveries: i64) -> bool {
        let rules = self.topology.rules(queue).unwrap_or_default();
        rules.delivery_limit.is_some_and(|limit| deliveries > limit)
    }

    fn insert(&mut self, queue: &str, message: &Stored) -> rusqlite::Result<i64> {
        let seq = self.next_seq;
        messages::insert(self.db, seq, queue, message)?;
        self.next_seq += 1;
        Ok(seq)
    }
}
