//! What is queued, out of the file and into the broker: published, confirmed, and only then
//! removed.

use anyhow::bail;
use futures_util::future::join_all;
use wahook_domain::{EndpointName, QueuedEvent, WaitStep};
use wahook_embedded::{Contents, Found, Place, Shelf};
use wahook_queue::{Outgoing, PublishError, Stored, topology::endpoint_of};
use wahook_runtime::{Shutdown, clock};

use super::{
    bar::Bar,
    not_stopped,
    proof::Proof,
    route::{Route, route},
    tally::{Count, Tally},
    target::{AT_BROKER, Target},
};

/// Messages in flight at once. A kill leaves no more than these both here and there.
const IN_FLIGHT: usize = 128;

/// All that moving needs.
pub(super) struct Moving<'a> {
    pub(super) contents: &'a Contents,
    pub(super) target: &'a mut Target,
    pub(super) tally: &'a mut Tally,
    pub(super) proof: &'a mut Proof,
    pub(super) bar: &'a Bar,
}

/// What becomes of a message.
enum Fate {
    /// It is published, and gone from here once that is confirmed.
    Goes(Box<Outgoing>),
    /// Nothing is to be done for it any more.
    IsDone,
    /// It can't be read, and stays.
    Stays(String),
}

impl Moving<'_> {
    /// Moves all that is on a shelf.
    pub(super) async fn all(mut self, shelf: Shelf, stop: &Shutdown) -> anyhow::Result<()> {
        self.bar.at(match shelf {
            Shelf::Queues => "messages",
            Shelf::Waiting => "retries",
        });
        let mut place = Place::START;
        loop {
            not_stopped(stop)?;
            let found = self.contents.next(shelf, place, IN_FLIGHT)?;
            let Some(last) = found.last() else {
                return Ok(());
            };
            place = last.place;
            let count = found.len();
            self.some(shelf, found).await?;
            self.bar.advance(count);
        }
    }

    /// Moves some at once; those that the broker has are gone from the file then, whatever
    /// became of the others.
    async fn some(&mut self, shelf: Shelf, found: Vec<Found>) -> anyhow::Result<()> {
        let (mut going, mut gone) = (Vec::new(), Vec::new());
        for found in found {
            let (place, queue) = (found.place, found.queue.clone());
            match self.fate(found).await? {
                Fate::Goes(message) => going.push((place, queue, message)),
                Fate::IsDone => {
                    self.count(shelf, &queue).already_there += 1;
                    gone.push(place);
                }
                Fate::Stays(reason) => {
                    tracing::error!(%queue, reason, "a message stays in the file");
                }
            }
        }
        let target = &*self.target;
        let published = going.iter().map(|(_, _, message)| target.publish(message));
        let mut failure = None;
        for ((place, queue, _), confirmed) in going.iter().zip(join_all(published).await) {
            match confirmed {
                Ok(()) => {
                    gone.push(*place);
                    self.count(shelf, queue).exported += 1;
                    if shelf == Shelf::Queues {
                        self.proof.sent(queue);
                    }
                }
                Err(PublishError::Unroutable) => {
                    tracing::error!(%queue, "a message stays in the file: its queue is gone");
                }
                Err(error) => failure = Some(error),
            }
        }
        self.contents.remove(shelf, &gone)?;
        match failure {
            None => Ok(()),
            Some(error) => bail!("{AT_BROKER}: {error}; the same command goes on from here"),
        }
    }

    async fn fate(&mut self, found: Found) -> anyhow::Result<Fate> {
        let message = match found.message {
            Ok(message) => message,
            Err(error) => return Ok(Fate::Stays(error.to_string())),
        };
        let Some(due_at) = found.due_at else {
            return self.of_queued(&found.queue, &message);
        };
        let recorded = self.recorded_wait(&found.queue, &message);
        let route = route(due_at, clock::now(), recorded, &self.target.waits);
        let message = match route {
            Route::AtOnce => message.to_queue(&found.queue),
            Route::After(step, left) => {
                self.target.prepare(step).await?;
                message.to_wait(step, left, &found.queue)
            }
        };
        Ok(Fate::Goes(Box::new(message)))
    }

    fn count(&mut self, shelf: Shelf, queue: &str) -> &mut Count {
        match shelf {
            Shelf::Queues => self.tally.of_queue(queue),
            Shelf::Waiting => &mut self.tally.waiting,
        }
    }

    /// A message may have been with a webhook when the process ended. Where the log has its
    /// attempt, all that follows from it is in the file as well, and to send it once more
    /// would double it.
    fn of_queued(&self, queue: &str, message: &Stored) -> anyhow::Result<Fate> {
        if let Some((endpoint, event)) = delivery(queue, message)
            && let Some(record) = self.contents.find(&event.id, &endpoint)?
            && record.covers(&event)
        {
            return Ok(Fate::IsDone);
        }
        Ok(Fate::Goes(Box::new(message.to_queue(queue))))
    }

    /// Which wait a message is in, as far as the log knows.
    fn recorded_wait(&self, queue: &str, message: &Stored) -> Option<WaitStep> {
        let (endpoint, event) = delivery(queue, message)?;
        let record = self.contents.find(&event.id, &endpoint).ok()??;
        WaitStep::of_millis(record.wait_ms()?)
    }
}

/// Only what is on its way to an endpoint is one.
fn delivery(queue: &str, message: &Stored) -> Option<(EndpointName, QueuedEvent)> {
    Some((endpoint_of(queue)?, message.content().ok()?))
}
