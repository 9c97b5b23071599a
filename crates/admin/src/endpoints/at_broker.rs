//! Transfer of the messages of a work queue at RabbitMQ.
//!
//! A message is removed only after the broker has confirmed its copy. An interruption in
//! between leaves both, with one id: a duplicate, never a loss.

use anyhow::Context;
use indicatif::ProgressBar;
use std::collections::BTreeSet;
use tokio::task::JoinSet;
use wahook_delivery_log::{LogReader, Surveyed};
use wahook_domain::{EndpointName, EventId, QueuedEvent};
use wahook_queue::{
    Broker, Outgoing, Publisher, QueueMessages, QueueMessagesError, Receipt, topology::work_queue,
};
use wahook_runtime::{Shutdown, clock};

use super::{
    sources::CONNECTION,
    target::{Report, Target, drop_reason},
};
use crate::publishing;

/// Messages that are published together.
const BATCH: usize = 100;

/// Transfer of all messages that are queued for `old`.
pub(super) struct Run<'a> {
    pub(super) broker: Broker,
    /// Log to look for events that the other endpoint has received itself.
    pub(super) log: Option<Box<dyn LogReader>>,
    pub(super) old: &'a EndpointName,
    pub(super) target: &'a Target,
}

/// Outcome of one message.
enum Moved {
    Done,
    /// The copy was not confirmed, or the message not removed.
    Failed,
}

impl Run<'_> {
    /// Moves messages until a queue is empty or the command is interrupted. A lane of
    /// an earlier number of lanes may be deleted.
    pub(super) async fn run(
        &self,
        queue: &str,
        report: &mut Report,
        bar: &ProgressBar,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let mut messages = match QueueMessages::open(&self.broker, CONNECTION, queue).await {
            Err(QueueMessagesError::NoQueue(_)) if queue != work_queue(self.old) => return Ok(()),
            opened => opened?,
        };
        let moved = match publishing::connect(self.broker.clone(), CONNECTION).await {
            Ok((publisher, task)) => {
                let moved = self
                    .batches(&mut messages, &publisher, report, bar, shutdown)
                    .await;
                publishing::close(task).await;
                moved
            }
            Err(error) => Err(error),
        };
        let flushed = messages.flush().await;
        messages.close().await;
        moved?;
        Ok(flushed?)
    }

    async fn batches(
        &self,
        messages: &mut QueueMessages,
        publisher: &Publisher,
        report: &mut Report,
        bar: &ProgressBar,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        while !shutdown.is_soft() {
            let batch = take(messages, report).await?;
            if batch.is_empty() && messages.left() == 0 {
                break;
            }
            let known = self.known(&batch).await?;
            let mut moving = JoinSet::new();
            for (event, receipt) in batch {
                bar.inc(1);
                if known.contains(&event.id) {
                    match receipt.ack().await {
                        Ok(()) => report.known += 1,
                        Err(_) => report.failed += 1,
                    }
                    continue;
                }
                moving.spawn(move_one(publisher.clone(), self.copy(&event), receipt));
            }
            while let Some(moved) = moving.join_next().await {
                match moved.context("task of a move")? {
                    Moved::Done => report.moved += 1,
                    Moved::Failed => report.failed += 1,
                }
            }
        }
        Ok(())
    }

    /// Returns the events that the other endpoint has in the log: until the bindings of the
    /// old one were removed, both received new events.
    async fn known(&self, batch: &[(QueuedEvent, Receipt)]) -> anyhow::Result<BTreeSet<EventId>> {
        let (Some(log), Some(new)) = (&self.log, self.target.endpoint()) else {
            return Ok(BTreeSet::new());
        };
        let ids: Vec<_> = batch.iter().map(|(event, _)| event.id.clone()).collect();
        let records = log.survey_of(&ids).await?;
        let of_new = records.into_iter().filter_map(|record| match record {
            Surveyed::Delivered(id, endpoint) => (endpoint == *new).then_some(id),
            Surveyed::Open(record) => (record.endpoint == *new).then_some(record.event_id),
            Surveyed::Foreign => None,
        });
        Ok(of_new.collect())
    }

    fn copy(&self, event: &QueuedEvent) -> Outgoing {
        match self.target {
            Target::Endpoint(new) => Outgoing::republish(event, new),
            Target::DeadLetters => {
                let reason = drop_reason(self.old);
                Outgoing::dropped(event, self.old, &reason, clock::now())
            }
        }
    }
}

/// Takes the next messages, and rejects those that can't be decoded: the broker makes dead
/// letters of them, as for a consumer.
async fn take(
    messages: &mut QueueMessages,
    report: &mut Report,
) -> anyhow::Result<Vec<(QueuedEvent, Receipt)>> {
    let mut batch = Vec::with_capacity(BATCH);
    while batch.len() < BATCH {
        let Some(received) = messages.next().await? else {
            break;
        };
        if received.marker().is_some() {
            // Its owner was killed; a consumer that waits for it publishes another.
            let _ = received.receipt.ack().await;
            continue;
        }
        match (received.event(), received.receipt) {
            (Ok(event), receipt) => batch.push((event, receipt)),
            (Err(_), receipt) => match receipt.reject().await {
                Ok(()) => report.undecodable += 1,
                Err(_) => report.failed += 1,
            },
        }
    }
    Ok(batch)
}

async fn move_one(publisher: Publisher, copy: Outgoing, receipt: Receipt) -> Moved {
    let is_confirmed = publisher.publish(copy).await.is_ok();
    if is_confirmed && receipt.ack().await.is_ok() {
        Moved::Done
    } else {
        Moved::Failed
    }
}
