//! Events that earlier claims of a resumed job have sent, as far as queue and log show it.
//!
//! A message stays in a data file until its attempt is in the log. So the queue is read first:
//! what is in neither was not sent. At RabbitMQ only the log is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context;
use tokio::{sync::Mutex, task::spawn_blocking};
use wahook_admin::dead::earlier::{EarlierRedrives, Known};
use wahook_delivery_log::LoggedDelivery;
use wahook_domain::{EndpointName, EventId, UnixMillis};
use wahook_queue::{Inspector, StoreUnreadable, StoredQueues};

use crate::{claimed::Claimed, log::Log};

/// Earlier claims of a job.
pub(crate) struct EarlierClaims {
    /// Start of the job: its redeliveries and redrives begin rounds since then.
    since: UnixMillis,
    log: Log,
    stored: Option<Arc<dyn StoredQueues>>,
    /// Events that were in the queue of an endpoint when it was read, with a round since then.
    queued: Mutex<BTreeMap<EndpointName, BTreeSet<EventId>>>,
}

impl EarlierClaims {
    /// Returns the earlier claims of a job; `None` if there are none.
    pub(crate) fn of(
        claimed: &Claimed,
        log: &Log,
        stored: Option<Arc<dyn StoredQueues>>,
    ) -> Option<Arc<Self>> {
        claimed.is_resumed.then(|| {
            Arc::new(Self {
                since: claimed.job.created_at,
                log: log.clone(),
                stored,
                queued: Mutex::default(),
            })
        })
    }

    /// Returns true if the event was sent to the endpoint since the job began.
    ///
    /// # Errors
    /// If queue or log can't be read.
    pub(crate) async fn have_sent(
        &self,
        event: &EventId,
        endpoint: &EndpointName,
    ) -> anyhow::Result<bool> {
        if self.is_queued(event, endpoint).await? {
            return Ok(true);
        }
        let logged = self.log.delivery(event.clone(), endpoint.clone()).await;
        let logged = logged.map_err(|_| anyhow::anyhow!("the delivery log is unavailable"))?;
        Ok(logged.is_some_and(|logged| is_attempted(&logged, self.since)))
    }

    async fn is_queued(&self, event: &EventId, endpoint: &EndpointName) -> anyhow::Result<bool> {
        let Some(stored) = &self.stored else {
            return Ok(false);
        };
        let mut queued = self.queued.lock().await;
        if let Some(events) = queued.get(endpoint) {
            return Ok(events.contains(event));
        }
        let (stored, name, since) = (Arc::clone(stored), endpoint.clone(), self.since);
        let read = spawn_blocking(move || read_queued(stored, &name, since));
        let events = read.await?.context("events in the queue")?;
        let is_queued = events.contains(event);
        queued.insert(endpoint.clone(), events);
        Ok(is_queued)
    }
}

impl EarlierRedrives for EarlierClaims {
    fn has<'a>(&'a self, event: &'a EventId, endpoint: &'a EndpointName) -> Known<'a> {
        Box::pin(self.have_sent(event, endpoint))
    }
}

/// Reads the events with a round since this time, also those that wait for a retry.
fn read_queued(
    stored: Arc<dyn StoredQueues>,
    endpoint: &EndpointName,
    since: UnixMillis,
) -> Result<BTreeSet<EventId>, StoreUnreadable> {
    let names = Inspector::of_store(Arc::clone(&stored)).queues_of(endpoint);
    let mut events = BTreeSet::new();
    for name in names {
        for message in stored.messages(&name)? {
            let metadata = message?.metadata;
            if metadata.redriven_at.is_some_and(|at| at >= since) {
                events.extend(metadata.id);
            }
        }
    }
    Ok(events)
}

fn is_attempted(logged: &LoggedDelivery, since: UnixMillis) -> bool {
    let mut attempts = logged.attempts.iter();
    attempts.any(|attempt| attempt.queued_at >= since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn attempts_of_an_earlier_round_are_not_those_of_the_job() {
        let logged = fake::logged("e1", 1_000);
        assert!(is_attempted(&logged, UnixMillis::new(1_000)));
        assert!(!is_attempted(&logged, UnixMillis::new(1_001)));
    }
}
