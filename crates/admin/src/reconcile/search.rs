//! Search for every delivery: one pass over all of them, then repeated passes over the
//! unresolved ones until they are accounted for or their grace period is over.

mod classification;
mod look_up;
mod records;
mod resolve;
mod wait_queues;

use anyhow::bail;
use indicatif::ProgressBar;
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};
use tokio::time::Instant;
use wahook_delivery_log::LogReader;
use wahook_domain::{EndpointName, EventId, UnixMillis, WaitStep};
use wahook_queue::{Depth, Inspector};
use wahook_runtime::Shutdown;

use super::{broker_state::BrokerState, classify::Discrepancy, patience::QueueWatch, tally::Tally};
use records::{LOOK_UP_BATCH, into_parts, take_record};

/// A retry that is due within this time counts as due, since it may already have left
/// its wait queue.
const DUE_MARGIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct SearchOptions {
    /// Endpoints to check; all if empty.
    pub(super) endpoints: BTreeSet<EndpointName>,
    /// Maximum time for which a consumer may hold a message.
    pub(super) max_hold: Duration,
    /// Grace period of an unresolved delivery (`--grace`).
    pub(super) grace: Duration,
    /// Missing dead letters were discarded on purpose.
    pub(super) dead_letters_discarded: bool,
}

/// Delivery that is not accounted for (yet). Takes about 150 bytes.
#[derive(Debug, Clone)]
pub(super) struct UnresolvedDelivery {
    pub(super) id: EventId,
    /// `None` if an accepted event was found at no endpoint.
    pub(super) endpoint: Option<EndpointName>,
    pub(super) discrepancy: Discrepancy,
    since: Instant,
}

/// Search and its results so far.
pub(super) struct Search<'a> {
    pub(super) options: SearchOptions,
    pub(super) log: &'a dyn LogReader,
    pub(super) inspector: &'a Inspector,
    pub(super) shutdown: &'a Shutdown,
    pub(super) bar: ProgressBar,
    pub(super) broker_state: BrokerState,
    pub(super) tally: Tally,
    pub(super) unresolved: Vec<UnresolvedDelivery>,
    /// Deliveries by the wait queue that must hold them: about 150 bytes each.
    waiting: BTreeMap<Option<WaitStep>, Vec<Waiting>>,
    watched: BTreeMap<EndpointName, QueueWatch>,
}

/// Delivery whose message must be in a wait queue.
struct Waiting {
    id: EventId,
    endpoint: EndpointName,
    due: UnixMillis,
    /// First time at which its queue held too few messages.
    since: Option<Instant>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        options: SearchOptions,
        log: &'a dyn LogReader,
        inspector: &'a Inspector,
        shutdown: &'a Shutdown,
        bar: ProgressBar,
    ) -> Self {
        Self {
            options,
            log,
            inspector,
            shutdown,
            bar,
            broker_state: BrokerState::default(),
            tally: Tally::default(),
            unresolved: Vec::new(),
            waiting: BTreeMap::new(),
            watched: BTreeMap::new(),
        }
    }

    /// Accounts for all events accepted in a time window.
    pub(super) async fn check_window(
        &mut self,
        since: UnixMillis,
        until: UnixMillis,
    ) -> anyhow::Result<()> {
        self.prepare().await?;
        // Deliveries at the broker that the log has not returned yet.
        let within = |at: Option<UnixMillis>| at.is_some_and(|at| at >= since && at < until);
        let deliveries = self.broker_state.deliveries();
        let mut unseen: HashSet<_> = deliveries
            .filter(|(_, _, accepted_at)| within(*accepted_at))
            .map(|(id, endpoint, _)| (id.clone(), endpoint.clone()))
            .collect();
        let mut survey = self.log.survey(since, until).await?;
        while let Some(surveyed) = survey.next().await? {
            self.bar.inc(1);
            self.check_shutdown()?;
            let Some((id, endpoint, recorded)) = into_parts(surveyed) else {
                self.tally.foreign += 1;
                continue;
            };
            let key = (id, endpoint);
            unseen.remove(&key);
            self.classify_delivery(key.0, key.1, Some(&recorded), None);
        }
        let ids: BTreeSet<_> = unseen.iter().map(|(id, _)| id.clone()).collect();
        let mut recorded = self.look_up(&ids).await?;
        for (id, endpoint) in unseen {
            let found = take_record(&mut recorded, &id, &endpoint);
            self.classify_delivery(id, endpoint, found.as_ref(), None);
        }
        self.check_wait_queues().await
    }

    /// Accounts for the accepted ids.
    pub(super) async fn check_ids(&mut self, ids: &BTreeSet<EventId>) -> anyhow::Result<()> {
        self.prepare().await?;
        let ids: Vec<_> = ids.iter().collect();
        for batch in ids.chunks(LOOK_UP_BATCH) {
            self.check_shutdown()?;
            let batch = batch.iter().copied().cloned().collect();
            let mut recorded = self.look_up(&batch).await?;
            for id in batch {
                self.bar.inc(1);
                let found = recorded.remove(&id).unwrap_or_default();
                self.classify_event(id, found, None);
            }
        }
        self.check_wait_queues().await
    }

    /// Returns every endpoint seen so far, with the depth of its queue.
    pub(super) fn watched(&self) -> impl Iterator<Item = (&EndpointName, Option<Depth>)> {
        let watched = self.watched.iter();
        watched.map(|(endpoint, queue)| (endpoint, queue.depth))
    }

    /// Reads the broker's state. AMQP can't list the queues of a virtual host, so the
    /// endpoints are those requested or, by default, those of recent records.
    async fn prepare(&mut self) -> anyhow::Result<()> {
        let mut endpoints = self.options.endpoints.clone();
        if endpoints.is_empty() {
            endpoints = self.log.recent_endpoints().await?;
            endpoints.insert(EndpointName::default());
        }
        let watched = endpoints.into_iter();
        self.watched = watched.map(|name| (name, QueueWatch::default())).collect();
        self.read_broker().await
    }

    async fn read_broker(&mut self) -> anyhow::Result<()> {
        self.broker_state.read_results(self.inspector).await?;
        let (inspector, bar) = (self.inspector, &self.bar);
        self.broker_state.read_dead_letters(inspector, bar).await?;
        Ok(())
    }

    fn check_shutdown(&self) -> anyhow::Result<()> {
        if self.shutdown.is_soft() {
            bail!("interrupted");
        }
        Ok(())
    }
}

impl UnresolvedDelivery {
    fn may_be_at(&self, endpoint: &EndpointName) -> bool {
        self.endpoint.as_ref().is_none_or(|own| own == endpoint)
    }
}
