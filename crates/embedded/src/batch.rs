//! What is written in one transaction, and what follows from it once it is durable.

use rusqlite::Connection;
use tokio::sync::oneshot;
use wahook_delivery_log::{LogUnavailable, WriteReport};
use wahook_domain::{AttemptResult, UnixMillis};
use wahook_queue::{
    Outgoing, PublishError, Stored, Topology,
    local::{Settlement, Tag},
    stored::DeathReason,
};

use crate::{messages, queues::Queues, records};

/// Messages that begin to be ready in one transaction because their time has come.
pub(crate) const DUE_AT_ONCE: usize = 500;

/// A change that somebody waits for.
pub(crate) enum Change {
    Publish {
        message: Box<Stored>,
        /// Where it goes; nowhere at all is fine too.
        places: Vec<Place>,
        confirm: oneshot::Sender<Result<(), PublishError>>,
    },
    Settle(Tag, Settlement),
    Write {
        results: Vec<AttemptResult>,
        answer: oneshot::Sender<Result<WriteReport, LogUnavailable>>,
    },
}

/// Where a message rests.
pub(crate) enum Place {
    /// In this queue.
    Queue(String),
    /// For so many milliseconds, and then in this queue.
    Wait(i64, String),
}

/// What a change has led to, true only once it is committed.
pub(crate) enum Outcome {
    /// New messages, by queue and number.
    Kept(Vec<(String, i64)>),
    /// A message is gone; perhaps it is a new one in another queue.
    Ended(Option<(String, i64, Stored)>),
    /// A message is back in its queue.
    Returned(String, Stored),
    /// Somebody has settled it before.
    Unknown,
    Written,
}

/// What writing needs to know.
pub(crate) struct Writing<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) topology: &'a Topology,
    pub(crate) queues: &'a Queues,
    pub(crate) now: UnixMillis,
    /// The number of the next message.
    pub(crate) next_seq: i64,
}

impl Change {
    /// A publish, or its confirm where no queue takes it.
    pub(crate) fn publish(
        outgoing: Outgoing,
        confirm: oneshot::Sender<Result<(), PublishError>>,
        topology: &Topology,
    ) -> Option<Self> {
        let (exchange, key) = outgoing.address();
        let queues = topology.route(exchange, key);
        if queues.is_empty() {
            // Whoever asked may be gone.
            let _ = confirm.send(Err(PublishError::Unroutable));
            return None;
        }
        let mut places = Vec::with_capacity(queues.len());
        for queue in queues {
            match topology.rules(queue).and_then(|rules| rules.wait_ms) {
                // A queue that keeps nothing.
                Some(0) => {}
                Some(millis) => places.push(Place::Wait(millis, key.to_owned())),
                None => places.push(Place::Queue(queue.to_owned())),
            }
        }
        Some(Self::Publish {
            message: Box::new(outgoing.into()),
            places,
            confirm,
        })
    }

    /// It could not be written. A settlement is given back, to be written later: nobody
    /// waits for it, and its message must not be handed out meanwhile.
    pub(crate) fn fail(self, reason: &str) -> Option<(Tag, Settlement)> {
        match self {
            Self::Publish { confirm, .. } => {
                let _ = confirm.send(Err(PublishError::Refused));
                None
            }
            Self::Write { answer, .. } => {
                let _ = answer.send(Err(LogUnavailable::File(reason.to_owned())));
                None
            }
            Self::Settle(tag, settlement) => Some((tag, settlement)),
        }
    }
}

impl Writing<'_> {
    pub(crate) fn carry_out(&mut self, change: &Change) -> rusqlite::Result<Outcome> {
        match change {
            Change::Publish {
                message, places, ..
            } => self.keep(message, places),
            Change::Settle(tag, settlement) => self.settle(*tag, *settlement),
            Change::Write { results, .. } => {
                for result in results {
                    records::write(self.db, result)?;
                }
                Ok(Outcome::Written)
            }
        }
    }

    /// Moves messages whose time has come to the ends of their queues.
    pub(crate) fn move_due(&mut self) -> rusqlite::Result<Vec<(String, i64, Stored)>> {
        let due = messages::due(self.db, self.now, DUE_AT_ONCE)?;
        let mut moved = Vec::with_capacity(due.len());
        for due in due {
            let seq = self.insert(&due.queue, &due.message)?;
            messages::delete_waiting(self.db, due.id)?;
            moved.push((due.queue, seq, due.message));
        }
        Ok(moved)
    }

    fn keep(&mut self, message: &Stored, places: &[Place]) -> rusqlite::Result<Outcome> {
        let mut kept = Vec::with_capacity(places.len());
        for place in places {
            match place {
                Place::Queue(queue) => kept.push((queue.clone(), self.insert(queue, message)?)),
                Place::Wait(millis, queue) => {
                    let due_at = UnixMillis::new(self.now.get().saturating_add(*millis));
                    messages::insert_waiting(self.db, due_at, queue, message)?;
                }
            }
        }
        Ok(Outcome::Kept(kept))
    }

    fn settle(&mut self, tag: Tag, settlement: Settlement) -> rusqlite::Result<Outcome> {
        let Tag(seq) = tag;
        let Some(queue) = self.queues.queue_of(seq).map(str::to_owned) else {
            return Ok(Outcome::Unknown);
        };
        match settlement {
            Settlement::Ack => {
                messages::delete(self.db, seq)?;
                Ok(Outcome::Ended(None))
            }
            Settlement::Reject => self.bury(seq, &queue, DeathReason::Rejected),
            Settlement::Requeue => {
                let deliveries = messages::count_delivery(self.db, seq)?;
                if self.is_too_many(&queue, deliveries) {
                    return self.bury(seq, &queue, DeathReason::DeliveryLimit);
                }
                Ok(match messages::find(self.db, seq)? {
                    Some(resting) => Outcome::Returned(queue, resting.message),
                    None => Outcome::Ended(None),
                })
            }
        }
    }

    /// Moves a message to its queue's dead letters; where it has none, the message ends.
    pub(crate) fn bury(
        &mut self,
        seq: i64,
        queue: &str,
        reason: DeathReason,
    ) -> rusqlite::Result<Outcome> {
        let resting = messages::find(self.db, seq)?;
        messages::delete(self.db, seq)?;
        let rules = self.topology.rules(queue);
        let Some((resting, letters)) = resting.zip(rules.and_then(|rules| rules.dead_letters))
        else {
            return Ok(Outcome::Ended(None));
        };
        let letter = resting.message.died(queue, reason, self.now);
        let seq = self.insert(letters, &letter)?;
        Ok(Outcome::Ended(Some((letters.to_owned(), seq, letter))))
    }

    pub(crate) fn is_too_many(&self, queue: &str, deliveries: i64) -> bool {
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
