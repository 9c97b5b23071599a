//! Moves queued messages from the file to the broker: publish, confirm, then remove.

use anyhow::bail;
use futures_util::future::join_all;
use wahook_domain::{EndpointName, QueuedEvent, WaitStep};
use wahook_embedded::{Contents, FoundMessage, MessageTable, Position};
use wahook_queue::{
    Outgoing, Parked, PublishError, Stored,
    topology::{endpoint_of, is_lane, work_queue},
};
use wahook_runtime::{Shutdown, clock};

use super::{
    bar::Bar,
    ensure_running,
    reconciliation::Reconciliation,
    route::{Route, route},
    tally::{Count, Tally},
    target::{BROKER_SETTING, Target},
};

/// Messages in flight at once; a killed export duplicates at most as many.
const IN_FLIGHT: usize = 128;

/// Move of queued messages.
pub(super) struct MessageExport<'a> {
    pub(super) contents: &'a Contents,
    pub(super) target: &'a mut Target,
    pub(super) tally: &'a mut Tally,
    pub(super) reconciliation: &'a mut Reconciliation,
    pub(super) bar: &'a Bar,
}

/// Action for a message of the file.
enum Action {
    /// Publish it, and remove it after the confirm.
    Publish(Box<Outgoing>),
    /// Remove it: its attempt is already in the log.
    Remove,
}

impl MessageExport<'_> {
    /// Moves all messages of a table.
    pub(super) async fn move_table(
        mut self,
        table: MessageTable,
        stop: &Shutdown,
    ) -> anyhow::Result<()> {
        self.bar.at(match table {
            MessageTable::Queued => "messages",
            MessageTable::Waiting => "retries",
        });
        let mut position = Position::START;
        loop {
            ensure_running(stop)?;
            let found = self.contents.next(table, position, IN_FLIGHT)?;
            let Some(last) = found.last() else {
                return Ok(());
            };
            position = last.position;
            let count = found.len();
            self.move_batch(table, found).await?;
            self.bar.advance(count);
        }
    }

    /// Moves a batch. Confirmed messages are removed from the file, even if others fail.
    async fn move_batch(
        &mut self,
        table: MessageTable,
        found: Vec<FoundMessage>,
    ) -> anyhow::Result<()> {
        let (mut outgoing, mut removable) = (Vec::new(), Vec::new());
        for mut found in found {
            found.queue = queue_at_broker(found.queue);
            let (position, queue) = (found.position, found.queue.clone());
            match self.action(found).await? {
                Action::Publish(message) => outgoing.push((position, queue, message)),
                Action::Remove => {
                    self.count(table, &queue).already_there += 1;
                    removable.push(position);
                }
            }
        }
        let target = &*self.target;
        let published = outgoing
            .iter()
            .map(|(_, _, message)| target.publish(message));
        let mut failure = None;
        for ((position, queue, _), confirmed) in outgoing.iter().zip(join_all(published).await) {
            match confirmed {
                Ok(()) => {
                    removable.push(*position);
                    self.count(table, queue).exported += 1;
                    if table == MessageTable::Queued {
                        self.reconciliation.record_sent(queue);
                    }
                }
                Err(PublishError::Unroutable) => {
                    tracing::error!(%queue, "message left in the file: broker has no such queue");
                }
                Err(error) => failure = Some(error),
            }
        }
        self.contents.remove(table, &removable)?;
        match failure {
            None => Ok(()),
            Some(error) => bail!("{BROKER_SETTING}: {error}; run the same command to continue"),
        }
    }

    async fn action(&mut self, found: FoundMessage) -> anyhow::Result<Action> {
        let message = found.message;
        let Some(due_at) = found.due_at else {
            return self.queued_action(&found.queue, &message);
        };
        let recorded = self.recorded_wait(&found.queue, &message);
        let route = route(due_at, clock::now(), recorded, &self.target.waits);
        let message = match route {
            Route::Immediate => message.to_queue(&found.queue),
            Route::Wait(step, left) => {
                self.target.declare_wait(step).await?;
                message.to_wait(step, left, &found.queue)
            }
        };
        Ok(Action::Publish(Box::new(message)))
    }

    fn count(&mut self, table: MessageTable, queue: &str) -> &mut Count {
        match table {
            MessageTable::Queued => self.tally.of_queue(queue),
            MessageTable::Waiting => &mut self.tally.waiting,
        }
    }

    /// Returns the action for a message in a queue. It may have been in delivery when the
    /// process ended. If the log has its attempt, the file also has any retry or dead letter
    /// that follows, and publishing it would deliver it twice.
    fn queued_action(&self, queue: &str, message: &Stored) -> anyhow::Result<Action> {
        if message.metadata.parked == Some(Parked::Marker) {
            return Ok(Action::Remove);
        }
        if let Some((endpoint, event)) = delivery(queue, message)
            && let Some(record) = self.contents.find(&event.id, &endpoint)?
            && record.covers(&event)
        {
            return Ok(Action::Remove);
        }
        Ok(Action::Publish(Box::new(message.to_queue(queue))))
    }

    /// Returns the wait of a message according to the log.
    fn recorded_wait(&self, queue: &str, message: &Stored) -> Option<WaitStep> {
        let (endpoint, event) = delivery(queue, message)?;
        let record = self.contents.find(&event.id, &endpoint).ok()??;
        WaitStep::of_millis(record.wait_ms()?)
    }
}

/// Returns the queue for the messages of a queue of the file. The broker may have
/// another number of lanes, and consumers deliver what is in the work queue first.
fn queue_at_broker(queue: String) -> String {
    match endpoint_of(&queue) {
        Some(endpoint) if is_lane(&queue) => work_queue(&endpoint),
        _ => queue,
    }
}

/// Reads endpoint and event; `None` unless the queue is that of an endpoint.
fn delivery(queue: &str, message: &Stored) -> Option<(EndpointName, QueuedEvent)> {
    Some((endpoint_of(queue)?, message.content().ok()?))
}
