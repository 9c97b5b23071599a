//! Classification of each delivery by its record and the broker's state.

use std::collections::BTreeSet;
use tokio::time::Instant;
use wahook_domain::{EndpointName, EventId};
use wahook_runtime::clock;

use super::{DUE_MARGIN, Search, UnresolvedDelivery, Waiting};
use crate::reconcile::{
    broker_state::LogRecord,
    classify::{Discrepancy, Location, LogStatus, classify},
    patience::QueueWatch,
};

impl Search<'_> {
    /// Classifies an event at every endpoint with a record or message of it.
    pub(super) fn classify_event(
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

    pub(super) fn classify_delivery(
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

    pub(super) fn add_unresolved(
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
}
