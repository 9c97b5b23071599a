//! Task that publishes the events of the spool in their order.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use backoff::backoff::Backoff;
use futures_util::future::join_all;
use tokio::{sync::watch, task::unconstrained, time::sleep};
use wahook_domain::{EventName, QueuedEvent};
use wahook_queue::{Outgoing, PublishError, Publisher, Receipt, Received, reconnect_backoff};

use super::{
    amounts,
    file::{BATCH_EVENTS, Spool},
};
use crate::router::{EventRouter, RouteOutcome};

/// Publishes the events of a spool.
pub(super) struct Forwarder {
    spool: Arc<Spool>,
    publisher: Publisher,
    router: Arc<EventRouter>,
}

/// Event that was taken from the spool.
struct Held {
    event: QueuedEvent,
    /// Removes the event from the file.
    receipt: Receipt,
    /// Outcome of its publish, once it is confirmed.
    outcome: Option<RouteOutcome>,
}

impl Forwarder {
    pub(super) fn new(spool: Arc<Spool>, publisher: Publisher, router: Arc<EventRouter>) -> Self {
        Self {
            spool,
            publisher,
            router,
        }
    }

    /// Forwards events until it is stopped; completes the publishes in flight.
    pub(super) async fn run(self, mut stopped: watch::Receiver<bool>) {
        while let Some(taken) = unless(&mut stopped, self.spool.take()).await {
            let mut held = VecDeque::with_capacity(taken.len());
            for received in taken {
                held.extend(self.decode(received).await);
            }
            if self.forward(held, &mut stopped).await.is_none() {
                return;
            }
        }
    }

    /// Forwards all events. Returns `None` once it is stopped.
    async fn forward(
        &self,
        mut held: VecDeque<Held>,
        stopped: &mut watch::Receiver<bool>,
    ) -> Option<()> {
        let mut backoff = reconnect_backoff();
        // After a failure only the first event is tried, until it is confirmed: an event whose
        // queue is missing must not cause repeats of those behind it.
        let mut window = BATCH_EVENTS;
        while let Some(first) = held.front() {
            self.spool.set_oldest(&first.event);
            unless(stopped, self.until_connected()).await?;
            let failed = self.publish(&mut held, window).await;
            while let Some(done) = held.pop_front_if(|held| held.outcome.is_some()) {
                self.remove(done).await;
            }
            match failed {
                None => {
                    backoff.reset();
                    window = BATCH_EVENTS;
                }
                Some(error) => {
                    window = 1;
                    let pause = backoff.next_backoff().unwrap_or(backoff.max_interval);
                    tracing::warn!(%error, waiting = held.len(), ?pause, "event of the spool not forwarded, retrying");
                    unless(stopped, sleep(pause)).await?;
                }
            }
        }
        Some(())
    }

    /// Publishes the next events together, at most `window`. Records the outcome of each, and
    /// returns the first failure.
    async fn publish(&self, held: &mut VecDeque<Held>, window: usize) -> Option<PublishError> {
        let next = held.iter_mut().filter(|held| held.outcome.is_none());
        let mut next: Vec<&mut Held> = next.take(window).collect();
        let events: Vec<&QueuedEvent> = next.iter().map(|held| &held.event).collect();
        let unwanted = match self.query_unwanted(&events).await {
            Ok(unwanted) => unwanted,
            Err(error) => return Some(error),
        };
        let publishes = events.iter().map(|event| async {
            if unwanted.get(&event.name) == Some(&true) {
                return Ok(RouteOutcome::Unwanted);
            }
            let published = self.publisher.publish(Outgoing::event(event)).await;
            published.map(|()| RouteOutcome::Queued)
        });
        // Without tokio's budget, at whose end the rest would be sent in another order.
        let mut results = unconstrained(join_all(publishes)).await;
        let mut failed = None;
        for (held, result) in next.iter_mut().zip(&mut results) {
            let is_open = result.is_err_and(PublishError::may_be_unrouted);
            if is_open && failed.is_none() {
                let resolved = self.router.resolve_unroutable(&self.publisher, &held.event);
                *result = resolved.await;
            }
            match *result {
                Ok(outcome) => held.outcome = Some(outcome),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        failed
    }

    /// Queries for each name whether no endpoint wants its events. An unwanted event that is
    /// published makes the confirms of others ambiguous, and they would be repeated.
    async fn query_unwanted(
        &self,
        events: &[&QueuedEvent],
    ) -> Result<HashMap<EventName, bool>, PublishError> {
        let by_name: HashMap<&EventName, &QueuedEvent> =
            events.iter().map(|event| (&event.name, *event)).collect();
        let queries = by_name.into_iter().map(|(name, event)| async {
            let is_unwanted = self.router.query_unwanted(&self.publisher, event).await?;
            Ok((name.clone(), is_unwanted))
        });
        join_all(queries).await.into_iter().collect()
    }

    /// Decodes an event. One that can't be decoded stays in the file, in another queue.
    async fn decode(&self, received: Received) -> Option<Held> {
        match received.event() {
            Ok(event) => Some(Held {
                event,
                receipt: received.receipt,
                outcome: None,
            }),
            Err(error) => {
                let size = amounts::size_of(received.dead_letter().payload.len());
                tracing::error!(%error, "message in the spool is no event, set aside in the file");
                // A local receipt never fails.
                let _ = received.receipt.reject().await;
                self.spool.removed(size);
                None
            }
        }
    }

    /// Removes a confirmed event from the file.
    async fn remove(&self, done: Held) {
        let _ = done.receipt.ack().await;
        let outcome = done.outcome.unwrap_or(RouteOutcome::Queued);
        self.spool.forwarded(&done.event, outcome);
    }

    /// Waits until the broker takes events.
    async fn until_connected(&self) {
        let mut link = self.publisher.link();
        let connected = link.wait_for(|link| link.up && link.blocked.is_none());
        if connected.await.is_err() {
            // The publisher has ended.
            std::future::pending::<()>().await;
        }
    }
}

/// Returns the result of `work`, or `None` once it is stopped.
async fn unless<T>(
    stopped: &mut watch::Receiver<bool>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        _ = stopped.wait_for(|stopped| *stopped) => None,
    }
}
