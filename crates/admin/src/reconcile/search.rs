//! Search for every delivery: one pass over all of them, then repeated passes over the
//! unresolved ones until they are accounted for or their grace period is over.

mod resolve;
mod wait_queues;

use anyhow::bail;
use indicatif::ProgressBar;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};
use tokio::time::Instant;
use wahook_delivery_log::{LogReader, Surveyed};
use wahook_domain::{EndpointName, EventId, UnixMillis, WaitStep};
use wahook_queue::{Depth, Inspector};
use wahook_runtime::{Shutdown, clock};

use super::{
    broker_state::{BrokerState, LogRecord},
    classify::{Discrepancy, Location, LogStatus, classify},
    patience::QueueWatch,
    tally::Tally,
};

/// Number of ids in one query of the log.
const LOOK_UP_BATCH: usize = 1_000;
/// A retry that is due within this time counts as due, since it may already have left
/// its wait queue.
const DUE_MARGIN: Duration = Duration::from_secs(1);

/// Options of a search.
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

    /// Classifies an event at every endpoint with a record or message of it.
    fn classify_event(
        &mut self,
        id: EventId,
        recorded: Vec<(EndpointName, LogRecord)>,
        before: Option<&UnresolvedDelivery>,
    ) {
        let held = self.broker_state.endpoints_of(&id).cloned();
        let mut endpoints: BTreeSet<_> = held.collect();
        endpoints.extend(recorded.iter().map(|(endpoint, _)| endpoint.clone()));
        if !self.options.endpoints.is_empty() {
            endpoints.clone_from(&self.options.endpoints);
        }
        if endpoints.is_empty() {
            self.add_unresolved(
                id,
                None,
                Discrepancy::Missing,
                before.map(|delivery| delivery.since),
            );
            return;
        }
        for endpoint in endpoints {
            let found = recorded.iter().find(|(name, _)| *name == endpoint);
            self.classify_delivery(
                id.clone(),
                endpoint,
                found.map(|(_, recorded)| recorded),
                before,
            );
        }
    }

    fn classify_delivery(
        &mut self,
        id: EventId,
        endpoint: EndpointName,
        recorded: Option<&LogRecord>,
        before: Option<&UnresolvedDelivery>,
    ) {
        let wanted = &self.options.endpoints;
        if !wanted.is_empty() && !wanted.contains(&endpoint) {
            return;
        }
        let facts = self.broker_state.facts(&id, &endpoint, recorded);
        if !self.watched.contains_key(&endpoint) {
            self.watched.insert(endpoint.clone(), QueueWatch::default());
        }
        let soon = clock::now().plus(DUE_MARGIN);
        match classify(facts, soon, self.options.dead_letters_discarded) {
            Ok(Location::Retrying) if !facts.queued => {
                if let Some(LogStatus::Retrying { due, wait }) = facts.log_status {
                    let same_wait = |delivery: &&UnresolvedDelivery| match delivery.discrepancy {
                        Discrepancy::WaitQueueShort { .. } => true,
                        discrepancy => discrepancy == Discrepancy::RetryOverdue { due },
                    };
                    let since = before.filter(same_wait).map(|delivery| delivery.since);
                    let waiting = Waiting {
                        id,
                        endpoint,
                        due,
                        since,
                    };
                    self.waiting.entry(wait).or_default().push(waiting);
                }
            }
            Ok(location) => self.tally.add(&endpoint, location, facts.queued),
            Err(discrepancy) => {
                // Another discrepancy has its own grace period.
                let same = before.filter(|delivery| delivery.discrepancy == discrepancy);
                self.add_unresolved(
                    id,
                    Some(endpoint),
                    discrepancy,
                    same.map(|delivery| delivery.since),
                );
            }
        }
    }

    fn add_unresolved(
        &mut self,
        id: EventId,
        endpoint: Option<EndpointName>,
        discrepancy: Discrepancy,
        since: Option<Instant>,
    ) {
        self.unresolved.push(UnresolvedDelivery {
            id,
            endpoint,
            discrepancy,
            since: since.unwrap_or_else(Instant::now),
        });
    }

    async fn look_up(
        &self,
        ids: &BTreeSet<EventId>,
    ) -> anyhow::Result<HashMap<EventId, Vec<(EndpointName, LogRecord)>>> {
        let ids: Vec<_> = ids.iter().cloned().collect();
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for batch in ids.chunks(LOOK_UP_BATCH) {
            for surveyed in self.log.survey_of(batch).await? {
                if let Some((id, endpoint, recorded)) = into_parts(surveyed) {
                    found.entry(id).or_default().push((endpoint, recorded));
                }
            }
        }
        Ok(found)
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

fn into_parts(surveyed: Surveyed) -> Option<(EventId, EndpointName, LogRecord)> {
    match surveyed {
        Surveyed::Delivered(id, endpoint) => Some((id, endpoint, LogRecord::Delivered)),
        Surveyed::Open(record) => {
            let (id, endpoint) = (record.event_id.clone(), record.endpoint.clone());
            Some((id, endpoint, LogRecord::Open(record)))
        }
        Surveyed::Foreign => None,
    }
}

fn take_record(
    recorded: &mut HashMap<EventId, Vec<(EndpointName, LogRecord)>>,
    id: &EventId,
    endpoint: &EndpointName,
) -> Option<LogRecord> {
    let of_event = recorded.get_mut(id)?;
    let position = of_event.iter().position(|(name, _)| name == endpoint)?;
    Some(of_event.swap_remove(position).1)
}
